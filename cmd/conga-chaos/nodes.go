package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"time"

	"conga/actors"
	"conga/actors/eventlog"
	"conga/actors/player"
	"conga/actors/relay"
	"conga/cmd/internal/node"
	"conga/messages"

	"github.com/asynkron/protoactor-go/actor"
)

// target is a listener that may be hit.
type target interface {
	fall()      // it is about to be killed with others, and does nothing any more
	kill()      // as kill -9
	freeze()    // as SIGSTOP
	thaw()      // as SIGCONT
	end() error // it says goodbye and is gone
	close()     // waits until nothing is left of it, however it went
	searches() []search
	receipt(ctx context.Context) (actors.Receipt, error)
	hears(ctx context.Context) (hearing, error)
}

// search is how a listener that had lost its upstream came to another one.
type search struct {
	lost string // name of the upstream
	at   time.Time
	took time.Duration
}

// inner is a listener in this process, with a wire of its own.
type inner struct {
	wire *wire
	node *node.Listener
	gone sync.Once
	left error
}

func startInner(ctx context.Context, n network, system *actor.ActorSystem, server, name string, logger *slog.Logger) (*inner, error) {
	output, err := player.ParseOutput("none")
	if err != nil {
		return nil, err
	}
	w := newWire(n)
	node, err := node.StartListener(ctx, node.ListenerOptions{
		Server: server, Name: name, Listen: n.addr + ":0", Output: output, Logger: logger, System: system,
		News: func(*messages.Playing) {}, Dial: w.dial, Bind: w.bind,
	})
	if err != nil {
		w.cut()
		return nil, err
	}
	return &inner{wire: w, node: node}, nil
}

func (v *inner) fall()      { v.wire.fall() }
func (v *inner) kill()      { v.wire.die() }
func (v *inner) freeze()    { v.wire.freeze() }
func (v *inner) thaw()      { v.wire.thaw() }
func (v *inner) end() error { v.gone.Do(func() { v.left = v.node.Leave() }); return v.left }

func (v *inner) close() {
	v.wire.cut()
	v.gone.Do(func() {
		v.node.Client.Stop()
		v.left = v.node.Log.Close()
	})
}

func (v *inner) receipt(ctx context.Context) (actors.Receipt, error) {
	return v.node.Client.Receipt(ctx)
}

func (v *inner) hears(ctx context.Context) (hearing, error) {
	receipt, err := v.node.Client.Receipt(ctx)
	if err != nil {
		return hearing{}, err
	}
	dump, err := v.node.Client.Dump(ctx)
	live, _ := dump.Live["relay"].(relay.Live)
	return hearing{receipt, live.Upstream}, err
}

func (v *inner) searches() []search { return searchesIn(v.node.Log) }

func searchesIn(log *eventlog.Log) []search {
	var all []search
	lost := ""
	for record, err := range log.Since(0) {
		if err != nil {
			break // a closed log: the others tell
		}
		switch event := record.Event.(type) {
		case *messages.UpstreamLost:
			lost = event.GetNode().GetName()
		case *messages.UpstreamConnected:
			if took := time.Duration(event.GetSearchUs()) * time.Microsecond; took > 0 && lost != "" {
				all = append(all, search{lost, record.Time.Add(-took), took})
			}
			lost = ""
		}
	}
	return all
}

// outer is a conga of its own: the server, or a listener that real signals hit.
type outer struct {
	net   network
	cmd   *exec.Cmd
	stdin io.WriteCloser
	done  chan struct{} // closed when it has ended
	ready map[string]string
}

// nodePrograms starts nodes that are processes of their own.
type nodePrograms struct {
	conga string // the file
	logs  io.Writer
}

// start runs conga with args and waits for its ready line.
func (p nodePrograms) start(ctx context.Context, n network, args ...string) (*outer, error) {
	o := &outer{net: n, cmd: exec.Command(p.conga, args...), done: make(chan struct{})}
	o.cmd.Stderr = p.logs
	stdin, err := o.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", args[0], err)
	}
	stdout, err := o.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", args[0], err)
	}
	o.stdin = stdin
	if err := n.start(o.cmd); err != nil {
		return nil, fmt.Errorf("run %s: %w", args[0], err)
	}
	line := make(chan string, 1)
	go func() {
		defer close(o.done)
		lines := bufio.NewReader(stdout)
		first, _ := lines.ReadString('\n')
		line <- first
		_, _ = io.Copy(io.Discard, lines)
		_ = o.cmd.Wait() // how it ended, the one who ended it knows
	}()
	select {
	case first := <-line:
		if o.ready = readyFields(first); o.ready == nil {
			o.close()
			return nil, fmt.Errorf("conga %s ended before it was ready; --log FILE shows why", strings.Join(args, " "))
		}
		return o, nil
	case <-ctx.Done():
		o.close()
		return nil, ctx.Err()
	}
}

// readyFields reads "ready requests=HOST:PORT …"; nil if it is no such line.
func readyFields(line string) map[string]string {
	words := strings.Fields(line)
	if len(words) == 0 || words[0] != "ready" {
		return nil
	}
	fields := map[string]string{}
	for _, word := range words[1:] {
		key, value, _ := strings.Cut(word, "=")
		fields[key] = value
	}
	return fields
}

func (o *outer) fall()   { o.freeze() }
func (o *outer) kill()   { _ = o.cmd.Process.Kill() } // one that has ended already is as dead
func (o *outer) freeze() { freezeProcess(o.cmd.Process) }
func (o *outer) thaw()   { thawProcess(o.cmd.Process) }

func (o *outer) end() error {
	if _, err := io.WriteString(o.stdin, "END\n"); err != nil {
		return fmt.Errorf("say END: %w", err)
	}
	<-o.done
	return nil
}

func (o *outer) close() {
	o.kill()
	<-o.done
}

func (o *outer) searches() []search { return nil } // its receipt has the longest

func (o *outer) receipt(ctx context.Context) (actors.Receipt, error) {
	h, err := o.hears(ctx)
	return h.receipt, err
}

func (o *outer) hears(ctx context.Context) (hearing, error) {
	var dump struct {
		Live struct {
			Receipt actors.Receipt `json:"receipt"`
			Relay   struct {
				Upstream string `json:"upstream"`
			} `json:"relay"`
		} `json:"live"`
	}
	err := o.dump(ctx, &dump)
	return hearing{dump.Live.Receipt, dump.Live.Relay.Upstream}, err
}

func (o *outer) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	return o.net.dial(ctx, addr)
}

// dump asks over HTTP.
func (o *outer) dump(ctx context.Context, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+o.ready["http"]+"/debug/dump", http.NoBody)
	if err != nil {
		return fmt.Errorf("ask for the dump: %w", err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: o.dial}}
	answer, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("ask for the dump: %w", err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		return fmt.Errorf("read the dump: %w", err)
	}
	return nil
}
