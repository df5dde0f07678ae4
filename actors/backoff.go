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
	// soundAfter is how long an actor must run so that its next failure counts as a new one.
	soundAfter = 10 * time.Second
)

// nextWait returns how long an actor that has failed after running for ran stays down; before
// was its previous wait, 0 if there was none.
func nextWait(before, ran time.Duration) time.Duration {
	if before == 0 || ran >= soundAfter {
		return firstWait
	}
	return min(2*before, longestWait)
}

// backoff is the supervision strategy of both trees. It restarts every actor, without limit, after a wait
// that doubles: if a disk is full for an hour, the radio must come back, without trying all the time.
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

// HandleFailure logs why an actor is restarted, because the operator may have to repair the cause (a
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
