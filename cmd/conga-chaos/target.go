package main

import (
	"context"
	"time"

	"conga/actors"
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
