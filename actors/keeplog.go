package actors

import (
	"context"
	"errors"
	"sync"
	"time"

	"conga/actors/eventlog"
)

const (
	// foldStep is how many events are folded into the log's base at once. An append waits some
	// milliseconds for that.
	foldStep = 1024
	// foldPause is the least time between two steps. So the log shrinks by a thousand events a
	// second, far faster than the limits of the request port let it grow.
	foldPause = time.Second
	// foldNever is how many of the newest events are always kept, whatever their size: actors and readers
	// that are a little behind find what they need, and the snapshot stays valid.
	foldNever = 4 * snapshotEvery
	// measureEvery is how many events are written before the log is measured again.
	measureEvery = 256
)

// logKeeper bounds a running server's log: when the log exceeds its limit, the oldest events are
// folded into the state that they led to. The hash chain continues from the last of them, as after
// an archive.
type logKeeper struct {
	server *Server
	limit  int64  // bytes
	step   uint64 // these are foldStep, foldNever and foldPause; tests use less
	never  uint64
	pause  time.Duration
	stop   context.CancelFunc
	wg     sync.WaitGroup
}

func keepLog(s *Server, limit int64) *logKeeper {
	return (&logKeeper{server: s, limit: limit, step: foldStep, never: foldNever, pause: foldPause}).run()
}

func (k *logKeeper) run() *logKeeper {
	ctx, stop := context.WithCancel(context.Background())
	k.stop = stop
	k.wg.Go(func() { k.watch(ctx) })
	return k
}

func (k *logKeeper) finish() {
	k.stop()
	k.wg.Wait()
}

// watch folds at the start, because the limit may be new, and whenever enough has been written.
func (k *logKeeper) watch(ctx context.Context) {
	log := k.server.cfg.Log
	k.fold(ctx)
	measured := log.Last()
	for record, err := range log.Watch(ctx, measured) {
		if err != nil {
			return // the log is closed, or its disk is broken: others report that
		}
		if record.Seq >= measured+min(measureEvery, k.step) {
			k.fold(ctx)
			measured = record.Seq
		}
	}
}

// fold makes steps until the log is within its limit.
func (k *logKeeper) fold(ctx context.Context) {
	for ctx.Err() == nil {
		size, err := k.server.cfg.Log.Size()
		if err != nil || size <= k.limit {
			return
		}
		switch more, err := foldOldest(k.server.cfg.Log, k.step, k.never); {
		case errors.Is(err, eventlog.ErrFull):
			return // the reserve is for events: fold later
		case err != nil:
			if ctx.Err() == nil {
				k.server.cfg.Logger.Warn("the log is larger than it should be, and could not be shortened", "reason", err)
			}
			return
		case !more:
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(k.pause):
		}
	}
}

// foldOldest drops up to step of the oldest events, in whole commits, and keeps the state that
// they led to. It returns false if only the newest events are left.
func foldOldest(log *eventlog.Log, step, newest uint64) (done bool, err error) {
	base, last := log.Base(), log.Last()
	if last < base+newest+step {
		return false, nil
	}
	through, err := log.CommitEnd(base + step)
	if err != nil {
		return false, err
	}
	if through == base { // one commit is longer than a step: the first scan of a large library
		if through, err = log.NextCommitEnd(base + step); err != nil || through+newest > last {
			return false, err
		}
	}
	state, err := ServerStateAt(log, through)
	if err != nil {
		return false, err
	}
	return true, log.Drop(through, state.Frozen())
}
