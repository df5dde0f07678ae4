package main

import (
	"context"
	"time"

	"conga/actors"
)

// target is a listener that may be hit.
type target interface {
	fall()      // it is about to be killed with others, and must do nothing more
	kill()      // as kill -9
	freeze()    // as SIGSTOP
	thaw()      // as SIGCONT
	end() error // it says goodbye and is gone
	close()     // waits until nothing is left of it, however it ended
	searches() []search
	receipt(ctx context.Context) (actors.Receipt, error)
	hears(ctx context.Context) (hearing, error)
}

// search is a listener's search for another upstream.
type search struct {
	lost string // name of the upstream
	at   time.Time
	took time.Duration
}
