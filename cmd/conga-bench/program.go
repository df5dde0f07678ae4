package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"conga/cmd/conga-bench/internal/result"
	"conga/cmd/internal/cli"
	"conga/cmd/internal/node"
)

// The lines of the program itself.
const (
	starting     = "start: conga version"
	serving      = "start: conga serve until ready"
	servingAgain = "start: conga serve again until ready"
	programSize  = "size of the program"
	serverAlone  = "RSS of conga serve, one listener"
	aloneOwn     = "own memory of conga serve, one listener"
	listenerRSS  = "RSS of conga join, playing silently"
	listenerOwn  = "own memory of conga join"
)

// hello is the smallest Go program that says something and then waits for the end of its input.
const hello = `package main

import (
	"fmt"
	"io"
	"os"
)

func main() {
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
}
`

// buildHello makes that program in the folder.
func buildHello(ctx context.Context, dir string) (string, error) {
	source, program := filepath.Join(dir, "hello.go"), filepath.Join(dir, "hello")
	if err := os.WriteFile(source, []byte(hello), 0o600); err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, "go", "build", "-o", program, source).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build a Go program to compare with: %w: %s", err, out)
	}
	return program, nil
}

// program measures the binary: its start, its size, its memory.
func (b *bench) program(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "conga-bench-hello")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	small, err := buildHello(ctx, dir)
	if err != nil {
		return err
	}
	if err := b.sizes(small); err != nil {
		return err
	}
	for range b.Rounds {
		if err := b.startUp(ctx, small); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) add(name, base, unit string, conga, than float64) {
	b.result.Add(result.Key{Name: name, Baseline: base}, unit, result.Less, result.Round{Conga: conga, Base: than})
}

func (b *bench) sizes(small string) error {
	ours, err := os.Stat(b.conga)
	if err != nil {
		return err
	}
	theirs, err := os.Stat(small)
	if err != nil {
		return err
	}
	b.add(programSize, goHello, "MB", float64(ours.Size())/1e6, float64(theirs.Size())/1e6)
	return nil
}

// startUp measures how long the program takes until it says something, and how much memory it has when it has run for a
// while.
func (b *bench) startUp(ctx context.Context, small string) (err error) {
	hello, took, err := b.helloReady(ctx, small)
	if err != nil {
		return err
	}
	defer hello.kill()
	begin := time.Now()
	if err := exec.CommandContext(ctx, b.conga, "version").Run(); err != nil {
		return err
	}
	b.add(starting, goHello, "ms", ms(time.Since(begin)), ms(took))
	data, err := os.MkdirTemp(b.Data, "conga-bench")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(data)) }()
	var server *conga
	for _, line := range []string{serving, servingAgain} { // at first it makes its key and its log
		begin = time.Now()
		if server, err = b.serveFrom(ctx, data); err != nil {
			return err
		}
		b.add(line, goHello, "ms", ms(time.Since(begin)), ms(took))
		if line == serving {
			server.kill()
		}
	}
	defer server.kill()
	listener, err := b.startConga(ctx, "join", server.ready["requests"], "--output", "null", "--listen", "127.0.0.1:0", "--http", "off", "--data", node.NoData)
	if err != nil {
		return err
	}
	defer listener.kill()
	if err := cli.Pause(ctx, b.Settle); err != nil {
		return err
	}
	var rss [3]held
	for i, p := range []*process{hello, server.process, listener.process} {
		if rss[i], err = p.rss(); err != nil {
			return err
		}
	}
	b.add(serverAlone, goHello, "MB", rss[1].all, rss[0].all)
	b.add(aloneOwn, goHello, "MB", rss[1].own, rss[0].own)
	b.add(listenerRSS, goHello, "MB", rss[2].all, rss[0].all)
	b.add(listenerOwn, goHello, "MB", rss[2].own, rss[0].own)
	return nil
}

// helloReady starts the small program, and waits until it says that it is ready.
func (b *bench) helloReady(ctx context.Context, program string) (*process, time.Duration, error) {
	begin := time.Now()
	p, err := start(ctx, b.logs, program)
	if err != nil {
		return nil, 0, err
	}
	if _, err := p.out.ReadString('\n'); err != nil {
		p.kill()
		return nil, 0, fmt.Errorf("a small Go program says nothing: %w", err)
	}
	return p, time.Since(begin), nil
}
