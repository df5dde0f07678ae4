package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"conga/actors"
	"conga/cmd/internal/ask"
)

// process is a separate conga process: the server, or a listener that gets real signals.
type process struct {
	net   network
	cmd   *exec.Cmd
	stdin io.WriteCloser
	done  chan struct{} // closed when it has ended
	ready map[string]string
}

// nodePrograms starts nodes as separate processes.
type nodePrograms struct {
	conga string // the file
	logs  io.Writer
}

// start runs conga with args and waits for its ready line.
func (p nodePrograms) start(ctx context.Context, n network, args ...string) (*process, error) {
	o := &process{net: n, cmd: exec.Command(p.conga, args...), done: make(chan struct{})}
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
		_ = o.cmd.Wait() // whoever ended it knows how it ended
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

// readyFields reads "ready requests=HOST:PORT …"; nil if the line is another.
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

func (o *process) fall()   { o.freeze() }
func (o *process) kill()   { _ = o.cmd.Process.Kill() } // an error means that it has ended already
func (o *process) freeze() { freezeProcess(o.cmd.Process) }
func (o *process) thaw()   { thawProcess(o.cmd.Process) }

func (o *process) end() error {
	if _, err := io.WriteString(o.stdin, "END\n"); err != nil {
		return fmt.Errorf("say END: %w", err)
	}
	<-o.done
	return nil
}

func (o *process) close() {
	o.kill()
	<-o.done
}

func (o *process) searches() []search { return nil } // its receipt has the longest

func (o *process) receipt(ctx context.Context) (actors.Receipt, error) {
	h, err := o.hears(ctx)
	return h.receipt, err
}

func (o *process) hears(ctx context.Context) (hearing, error) {
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

// dump asks over HTTP.
func (o *process) dump(ctx context.Context, into any) error {
	return ask.DumpInto(ctx, o.net.dial, o.ready["http"], into)
}

// findProgram returns the file of a program: the one given with the flag, or the one beside this program, or the one in PATH.
func findProgram(name, flag, given string) (string, error) {
	if given != "" {
		found, err := exec.LookPath(given)
		if err != nil {
			return "", fmt.Errorf("%s: %w", flag, err)
		}
		return found, nil
	}
	self, err := os.Executable()
	if err == nil {
		if beside, err := exec.LookPath(filepath.Join(filepath.Dir(self), name)); err == nil {
			return beside, nil
		}
	}
	found, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("there is no %s beside this program, nor in PATH: make build (nats-server: make servers) puts it into bin/, or name one with %s FILE", name, flag)
	}
	return found, nil
}
