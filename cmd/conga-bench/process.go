package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"conga/cmd/conga-bench/internal/usage"
)

// process is a process that this one has started.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   *bufio.Reader
	ended chan struct{}
}

// start runs the program with its standard input and output in our hands.
func start(ctx context.Context, stderr io.Writer, name string, args ...string) (*process, error) {
	p := &process{cmd: exec.CommandContext(ctx, name, args...), ended: make(chan struct{})}
	p.cmd.Stderr = stderr
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = 5 * time.Second
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", name, err)
	}
	stdout, stdoutHere, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", name, err)
	}
	p.cmd.Stdout = stdoutHere
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("run %s: %w", name, err), stdout.Close(), stdoutHere.Close())
	}
	_ = stdoutHere.Close() // it is the child's
	p.stdin, p.out = stdin, bufio.NewReader(stdout)
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // whoever ended it knows how
		_ = stdout.Close()
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// cpu returns the processor time it has used, and when.
func (p *process) cpu() (spent, error) {
	used, err := usage.CPU(p.pid())
	return spent{used, time.Now()}, err
}

// spent is processor time at a moment.
type spent struct {
	used time.Duration
	at   time.Time
}

// since is how many seconds of processor time a second were used since before.
func (s spent) since(before spent) float64 {
	return (s.used - before.used).Seconds() / s.at.Sub(before.at).Seconds()
}

// held is a process's memory in megabytes: all, and what is not pages of its program's file.
type held struct{ all, own float64 }

func (p *process) rss() (held, error) {
	all, own, err := usage.RSS(p.pid())
	return held{float64(all) / 1e6, float64(own) / 1e6}, err
}

// kill ends it at once.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // an error means that it has ended already
	<-p.ended
}

// worker is a process of this program that does what it is told.
type worker struct {
	*process
	client *rpc.Client
}

func (b *bench) worker(ctx context.Context) (*worker, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	p, err := start(ctx, b.logs, self, "worker")
	if err != nil {
		return nil, err
	}
	return &worker{p, rpc.NewClient(pipes{p.out, p.stdin})}, nil
}

type pipes struct {
	io.Reader
	io.WriteCloser
}

// call lets the worker do something, and waits.
func (w *worker) call(ctx context.Context, what string, args, reply any) error {
	select {
	case call := <-w.client.Go("Worker."+what, args, reply, make(chan *rpc.Call, 1)).Done:
		if call.Error != nil {
			return fmt.Errorf("%s: %w", strings.ToLower(what), call.Error)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// conga is a conga process that has printed its ready line.
type conga struct {
	*process
	ready map[string]string
}

// readyWithin is how long a node may take to be ready.
const readyWithin = time.Minute

func (b *bench) startConga(ctx context.Context, args ...string) (*conga, error) {
	p, err := start(ctx, b.logs, b.conga, args...)
	if err != nil {
		return nil, err
	}
	line := make(chan string, 1)
	go func() {
		first, _ := p.out.ReadString('\n') // without a line the fields are missing, too
		line <- first
		_, _ = io.Copy(io.Discard, p.out)
	}()
	patience := time.NewTimer(readyWithin)
	defer patience.Stop()
	select {
	case first := <-line:
		words := strings.Fields(first)
		if len(words) == 0 || words[0] != "ready" {
			p.kill()
			return nil, fmt.Errorf("conga %s ended before it was ready: --log FILE shows why", args[0])
		}
		c := &conga{p, map[string]string{}}
		for _, word := range words[1:] {
			key, value, _ := strings.Cut(word, "=")
			c.ready[key] = value
		}
		return c, nil
	case <-patience.C:
	case <-ctx.Done():
	}
	p.kill()
	return nil, errors.Join(fmt.Errorf("conga %s was not ready within %v", args[0], readyWithin), ctx.Err())
}

// serve starts a server whose log is in a new folder, which goes with it.
func (b *bench) serve(ctx context.Context) (*conga, func(), error) {
	data, err := os.MkdirTemp(b.Data, "conga-bench")
	if err != nil {
		return nil, nil, fmt.Errorf("make a folder for the server's log: %w", err)
	}
	server, err := b.serveFrom(ctx, data)
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(data))
	}
	return server, func() {
		server.kill()
		_ = os.RemoveAll(data) // the system removes it in time
	}, nil
}

// serveFrom starts a server whose log is in the folder.
func (b *bench) serveFrom(ctx context.Context, data string) (*conga, error) {
	args := []string{
		"serve", "--songs", b.Songs, "--data", data, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0",
		"--no-mdns", "--max-per-address", "20000", "--max-half-open", "20000", "--max-listeners", "20000", "--max-requests", "1000", // all listeners are on this machine
	}
	if b.Profile != "" {
		args = append(args, "--pprof")
	}
	return b.startConga(ctx, args...)
}

// stage starts a server, and a worker for its listeners. end ends both.
func (b *bench) stage(ctx context.Context) (server *conga, w *worker, end func(), err error) {
	server, stop, err := b.serve(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	if w, err = b.worker(ctx); err != nil {
		stop()
		return nil, nil, nil, err
	}
	return server, w, func() { w.kill(); stop() }, nil
}

// findConga returns the program that is measured: the given one, or the one beside this program.
func findConga(given string) (string, error) {
	if given == "" {
		self, err := os.Executable()
		if err != nil {
			return "", fmt.Errorf("find this program: %w", err)
		}
		given = filepath.Join(filepath.Dir(self), "conga")
	}
	found, err := exec.LookPath(given)
	if err != nil {
		return "", fmt.Errorf("there is no conga to measure: make build puts it beside this program, or name one with --conga FILE: %w", err)
	}
	return filepath.Abs(found)
}
