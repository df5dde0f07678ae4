package player

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	beatEvery = 100 * time.Millisecond
	// missedBeats is the longest gap between two beats while the program runs, even on a busy machine.
	missedBeats = 300 * time.Millisecond
)

// heart finds out when this program did not run, because somebody stopped it, its machine slept, or other programs kept
// the processor. What should have been played then is missing for that reason alone. Its times are counted from
// the player's start, because the server's clock may be corrected.
type heart struct {
	mu       sync.Mutex
	last     time.Duration // the last beat
	from, to time.Duration // the last time when it did not beat
}

// beat is called every beatEvery as long as the program runs.
func (h *heart) beat(now time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.look(now)
	h.last = now
}

// look records a gap if there was no beat for long.
func (h *heart) look(now time.Duration) {
	if now-h.last > missedBeats {
		h.from, h.to = h.last, now
	}
}

// missed returns how long the program did not run at the time when something was due, or just before: then the
// decoder had no time to prepare it. 0: it ran.
func (h *heart) missed(due, now time.Duration) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.look(now) // the program may have just gone on, and the next beat not have come yet
	if due < h.from || due > h.to+aheadUs*time.Microsecond {
		return 0
	}
	return h.to - h.from
}

// beat lets the heart beat until ctx ends.
func (e *engine) beat(ctx context.Context) {
	beats := e.cfg.beats
	if beats == nil {
		ticker := time.NewTicker(beatEvery)
		defer ticker.Stop()
		beats = ticker.C
	}
	for {
		e.heart.beat(time.Since(e.birth))
		select {
		case <-beats:
		case <-ctx.Done():
			return
		}
	}
}

// cause returns why there is nothing to play. seen is the reason that the deck knows, or empty.
func (e *engine) cause(due int64, seen string) string {
	now := time.Since(e.birth)
	ahead := time.Duration(due-e.cfg.Now()) * time.Microsecond
	since := time.Duration(e.since.Load())
	missed := e.heart.missed(now+ahead, now)
	switch {
	case missed > 0:
		return fmt.Sprintf("this program did not run for %.1f s: it was stopped, or its machine slept or was too busy", missed.Seconds())
	case seen != "":
		return seen
	case since != 0 && now-since > slowAfter:
		return tooSlow
	}
	return "no chunk arrived in time"
}
