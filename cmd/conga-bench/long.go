package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"conga/cmd/conga-bench/internal/result"
	"conga/cmd/internal/cli"
)

// The lines that take long.
const (
	longest      = "longest chain in real time"
	cloneToSound = "from a fresh clone to sound"
)

const (
	// shortestLong is where the search for the longest chain begins, and mostLong where it ends: a listener needs four
	// open files, and a process may have some ten thousands.
	shortestLong, mostLong = 500, 4500
	// closeEnough is when it has found it.
	closeEnough = 250
	// inTime is how long a chain must run without an underrun.
	inTime = 20 * time.Second
	// wanted is how long the chain should be.
	wanted = 3000
	// soundWithin is how long a fresh clone may take.
	soundWithin = 20 * time.Minute
)

// nextLength is the chain that is tried next, if one of good nodes plays in real time and one of bad does not; 0: good is
// about the longest. At first nothing is known: 0 and mostLong+1.
func nextLength(good, bad int) int {
	switch {
	case bad-good <= closeEnough:
		return 0
	case good == 0 && bad > mostLong:
		return shortestLong
	case bad > mostLong:
		return min(2*good, mostLong)
	}
	return (good + bad) / 2
}

// longestChain searches by halves for the longest chain in which nobody has nothing to play.
func (b *bench) longestChain(ctx context.Context) error {
	good, bad := 0, mostLong+1
	for next := nextLength(good, bad); next > 0; next = nextLength(good, bad) {
		err := b.plays(ctx, next)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			b.say("a chain of %d does not play in real time: %v", next, err)
			bad = next
		default:
			b.say("a chain of %d plays in real time", next)
			good = next
		}
	}
	b.result.Add(result.Key{Name: longest, Baseline: wantedNodes}, "nodes", result.More, result.Round{Conga: float64(good), Base: wanted})
	return nil
}

// plays lets a chain of that length run; the error says that it does not play in real time.
func (b *bench) plays(ctx context.Context, nodes int) error {
	server, w, end, err := b.stage(ctx)
	if err != nil {
		return err
	}
	defer end()
	if err := w.call(ctx, "Join", JoinArgs{Server: server.ready["requests"], Nodes: nodes}, &Times{}); err != nil {
		return err
	}
	if err := cli.Pause(ctx, b.Settle); err != nil {
		return err
	}
	var before, after int
	if err := w.call(ctx, "Trouble", None{}, &before); err != nil {
		return err
	}
	if err := w.call(ctx, "Listen", ListenArgs{For: inTime}, &Heard{}); err != nil {
		return err
	}
	if err := w.call(ctx, "Trouble", None{}, &after); err != nil {
		return err
	}
	if after > before {
		return fmt.Errorf("%d underruns and lost items in %v", after-before, inTime)
	}
	return nil
}

// fromClone measures how long it takes from a fresh clone, with nothing compiled, until a loudspeaker would get sound: git
// clone, make conga, conga demo. What Go has downloaded before, it does not download again.
func (b *bench) fromClone(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, soundWithin)
	defer cancel()
	top, err := exec.CommandContext(ctx, "git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		b.lacks("%s: this is no clone: %v", cloneToSound, err)
		return nil
	}
	dir, err := os.MkdirTemp("", "conga-bench-clone")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	begin := time.Now()
	clone := filepath.Join(dir, "clone")
	if err := b.shell(ctx, dir, "git", "clone", "--quiet", strings.TrimSpace(string(top)), clone); err != nil {
		return err
	}
	if err := b.shell(ctx, dir, "make", "-C", clone, "conga"); err != nil {
		return err
	}
	sound := filepath.Join(dir, "sound.wav")
	demo, err := start(ctx, b.logs, filepath.Join(clone, "bin", "conga"), "demo", "--plain", "--output", "wav:"+sound)
	if err != nil {
		return err
	}
	defer demo.kill()
	go func() { _, _ = io.Copy(b.logs, demo.out) }()
	if err := sounds(ctx, sound); err != nil {
		return err
	}
	took := time.Since(begin)
	begin = time.Now()
	if err := os.WriteFile(filepath.Join(dir, "hello.go"), []byte(hello), 0o600); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(dir, "cache")); err != nil {
		return err
	}
	if err := b.shell(ctx, dir, "go", "build", "-o", filepath.Join(dir, "hello"), filepath.Join(dir, "hello.go")); err != nil {
		return err
	}
	b.add(cloneToSound, goHello, "s", took.Seconds(), time.Since(begin).Seconds())
	return nil
}

// shell runs a program with an empty build cache, in dir.
func (b *bench) shell(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "GOCACHE="+filepath.Join(dir, "cache"))
	cmd.Stdout, cmd.Stderr = b.logs, b.logs
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w: --log FILE shows why", name, strings.Join(args, " "), err)
	}
	return nil
}

// sounds waits until a recording has a sample that is not silence.
func sounds(ctx context.Context, file string) error {
	const header = 44
	for {
		data, err := os.ReadFile(file)
		if err == nil && len(data) > header && len(bytes.Trim(data[header:], "\x00")) > 0 {
			return nil
		}
		if err := cli.Pause(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("wait for sound: %w", err)
		}
	}
}
