package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"conga/messages/plain"
)

const (
	// writePatience is how long a write may take before the reader counts as stuck.
	writePatience = 5 * time.Second
	// Waits between failed accepts (no file descriptors left), to avoid a busy loop.
	firstBackoff, longestBackoff = 5 * time.Millisecond, time.Second
)

// keepAlive detects within about 15 s that a quiet peer has vanished.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 6 * time.Second, Interval: 3 * time.Second, Count: 3}

// accepted tells an acceptor actor of a new connection.
type accepted struct {
	conn  net.Conn
	guest *guest
}

// crashed carries a panic from a connection's goroutine into its actor.
type crashed struct{ reason error }

// stopBroken is every acceptor's supervision strategy: a connection that panics is closed, and its
// peer connects again. A restart would meet the same bytes.
func stopBroken() actor.PropsOption {
	return actor.WithSupervisor(actor.NewOneForOneStrategy(0, 0, func(any) actor.Directive { return actor.StopDirective }))
}

// errBroken: a goroutine of a connection has panicked.
var errBroken = errors.New("broke down")

// guard runs f in a goroutine of the actor self. If f panics, the actor panics instead of the process, so
// that supervision stops the connection.
func guard(root *actor.RootContext, self *actor.PID, f func()) {
	go func() {
		defer func() {
			if reason := recover(); reason != nil {
				root.Send(self, &crashed{fmt.Errorf("%w: %v", errBroken, reason)})
			}
		}()
		f()
	}()
}

// retire stops the actor self, whose goroutine has ended, unless the actor is stopping already.
func retire(life context.Context, root *actor.RootContext, self *actor.PID) {
	if life.Err() == nil {
		root.Stop(self)
	}
}

// door accepts connections. It outlives a restart of its acceptor, which then has a new
// lobby: if each life of the actor had its own loop, connections would be counted in two lobbies.
type door struct {
	once  sync.Once // starts the loop
	lobby atomic.Pointer[lobby]
}

// open starts to accept connections, for the actor self and its lobby.
func (d *door) open(root *actor.RootContext, self *actor.PID, listener net.Listener, l *lobby) {
	d.lobby.Store(l)
	d.once.Do(func() { go d.accept(root, self, listener) })
}

// accept hands every connection to the actor self until the listener is closed.
func (d *door) accept(root *actor.RootContext, self *actor.PID, listener net.Listener) {
	wait := firstBackoff
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			slog.Warn("accept a connection", "at", listener.Addr(), "err", err, "again in", wait)
			time.Sleep(wait)
			wait = min(2*wait, longestBackoff)
			continue
		}
		wait = firstBackoff
		if tcp, ok := conn.(*net.TCPConn); ok { // which sends at once, Go's default
			_ = tcp.SetKeepAliveConfig(keepAlive)
		}
		if guest := d.lobby.Load().enter(conn); guest != nil {
			root.Send(self, &accepted{conn: conn, guest: guest})
		}
	}
}

// timedOut reports whether err is a deadline that has passed.
func timedOut(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// reasonOf says in words why a connection ended, for logs and events.
func reasonOf(err error) string {
	switch {
	case err == nil:
		return ""
	case timedOut(err):
		return "timed out"
	case errors.Is(err, context.Canceled), errors.Is(err, net.ErrClosed):
		return "stopped"
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op != "dial" {
		return plain.Text(fmt.Sprint(op.Err), maxReason)
	}
	return plain.Text(err.Error(), maxReason)
}

// StreamOf is the address of a server's stream: the port after that of its requests.
func StreamOf(requests string) (string, error) {
	host, port, err := net.SplitHostPort(requests)
	if err != nil {
		return "", fmt.Errorf("%q is not HOST:PORT: %w", requests, err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || n == 65535 {
		return "", fmt.Errorf("%q: the port must be from 1 to 65534", requests)
	}
	return net.JoinHostPort(host, strconv.FormatUint(n+1, 10)), nil
}
