package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
)

// spinning is the argument with which this program becomes a busy neighbour, which uses up a processor.
const spinning = "spin"

// spins reports whether the arguments ask for that.
func spins(args []string) bool { return len(args) == 2 && args[1] == spinning }

// spinUntilEnd computes without a pause. It ends with its input, so it does not outlive its parent.
func spinUntilEnd(in io.Reader) {
	var done atomic.Bool
	go func() {
		defer done.Store(true)
		_, _ = io.Copy(io.Discard, in)
	}()
	for !done.Load() {
		continue
	}
}

// spin starts n neighbours. They are processes, because threads of this one would take their
// time from the listeners in it.
func spin(n int) (calm func(), err error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	var ends []func()
	calm = func() {
		var wg sync.WaitGroup
		for _, end := range ends {
			wg.Go(end)
		}
		wg.Wait()
	}
	for range n {
		cmd := exec.Command(program, spinning)
		stdin, err := cmd.StdinPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			calm()
			return nil, fmt.Errorf("start a busy neighbour: %w", err)
		}
		ends = append(ends, func() {
			_ = stdin.Close()
			_ = cmd.Wait() // its result does not matter
		})
	}
	return calm, nil
}
