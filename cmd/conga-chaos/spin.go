package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
)

// spinning is this program's argument for a neighbour on the machine that uses up a processor.
const spinning = "spin"

// spins says whether that is what the arguments ask for.
func spins(args []string) bool { return len(args) == 2 && args[1] == spinning }

// spinUntilEnd never waits for anything. It ends with its input, so it does not outlive whoever started it.
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

// spin starts so many neighbours. They are processes: threads of this one would take their
// turns from the listeners that live here.
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
			_ = cmd.Wait() // it did no work that could be lost
		})
	}
	return calm, nil
}
