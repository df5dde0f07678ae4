package actors

import (
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

const (
	// firstWait and longestWait bound the wait before a broken actor starts again.
	firstWait   = 100 * time.Millisecond
	longestWait = 10 * time.Second
	// soundAfter is how long an actor must have run for its next failure to be a new trouble.
	soundAfter = 10 * time.Second
)

// nextWait is how long an actor stays down that has failed after it ran for so long; before
// was its wait the time before, 0 if there was none.
func nextWait(before, ran time.Duration) time.Duration {
	if before == 0 || ran >= soundAfter {
		return firstWait
	}
	return min(2*before, longestWait)
}

// backoff is how every actor of both trees is restarted, for ever, with a wait that doubles:
// a disk that is full for an hour must neither stop the radio for good nor be hammered.
// (The library's exponential strategy adds a fixed step, and begins again at its window's end.)
type backoff struct {
	mu     sync.Mutex
	broken map[string]trouble // by the actor's id; as many as the tree has
}

type trouble struct {
	wait time.Duration
	back time.Time // when the actor starts again
}

func newBackoff() *backoff { return &backoff{broken: make(map[string]trouble)} }

// HandleFailure says why an actor is restarted, because it may be for the operator to repair (a
// full disk), and restarts it after a wait.
func (b *backoff) HandleFailure(system *actor.ActorSystem, supervisor actor.Supervisor, child *actor.PID,
	_ *actor.RestartStatistics, reason, _ any,
) {
	wait := b.failed(child.GetId(), time.Now())
	system.Logger().Error("an actor broke and is restarted", "actor", child.GetId(), "reason", reason, "in", wait)
	time.AfterFunc(wait, func() { supervisor.RestartChildren(child) })
}

func (b *backoff) failed(id string, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.broken[id]
	wait := nextWait(before.wait, now.Sub(before.back))
	b.broken[id] = trouble{wait: wait, back: now.Add(wait)}
	return wait
}
