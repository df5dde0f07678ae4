package seed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"conga/messages"
	"conga/transport"
)

// nativePatience is how long a native server may take to answer, on a short line: one of 2016 never
// does.
const nativePatience = time.Second

// Recognize says whether the server whose requests are at addr is of the seed's kind. Such a server
// is hurt for good by whoever opens its ports in another order than its clients do, so a native
// asks BEFORE it opens them in its own. It joins as a client does, and leaves at once.
//
// If it finds anything else, or nothing at all, the native's own join will say so.
func Recognize(ctx context.Context, addr string, line *transport.Line) bool {
	stream, err := streamOf(addr)
	if err != nil {
		return false
	}
	gate, err := line.Node(ctx, stream)
	if err != nil {
		return false
	}
	defer gate.Close()
	defer context.AfterFunc(ctx, func() { _ = gate.Close() })()
	// A native server refuses a HELLO without a name. That is an answer, too.
	patience := line.Patience(nativePatience)
	_ = gate.SetDeadline(time.Now().Add(patience))
	if _, err := gate.Write(frame(messages.KindHi, nil)); err != nil {
		return false
	}
	var kind [len(messages.KindHi)]byte
	_, err = io.ReadFull(gate, kind[:])
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		return false
	}
	requests, err := transport.DialServer(ctx, addr)
	if err != nil {
		return false
	}
	defer requests.Close()
	_ = gate.SetDeadline(time.Now().Add(patience))
	join, err := ReadJoin(gate)
	if err != nil {
		return false
	}
	_ = decline(ctx, join, gate, requests) // if that fails, nothing more can be done
	return true
}

// decline takes the place and gives it up again, as a client of 2016 does.
func decline(ctx context.Context, join Join, gate, requests net.Conn) error {
	here, err := net.Listen("tcp", net.JoinHostPort("", strconv.Itoa(int(join.Port))))
	if err != nil {
		return err
	}
	defer here.Close()
	_ = gate.Close()
	above := net.JoinHostPort(join.Host, strconv.Itoa(int(join.Port)-1))
	music, err := transport.DialNode(ctx, above)
	if err != nil {
		return err
	}
	defer hangUp(music)
	_ = requests.SetDeadline(time.Now().Add(answerPatience))
	_, err = fmt.Fprintf(requests, "%sHOST,%s,PORT,%d", sayLeave, join.Host, join.Port)
	return err
}

// hangUp sends the end before unread music causes a reset: a program of 2016 survives an end, and
// breaks at a reset.
func hangUp(conn net.Conn) {
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_ = conn.Close()
}

// streamOf is the stream's address of the server whose requests are at addr.
func streamOf(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("%q is not HOST:PORT: %w", addr, err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || n == 65535 {
		return "", fmt.Errorf("%q: the port must be from 1 to 65534", addr)
	}
	return net.JoinHostPort(host, strconv.FormatUint(n+1, 10)), nil
}
