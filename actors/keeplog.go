package actors

import (
	"context"
	"errors"
	"sync"
	"time"

	"conga/actors/eventlog"

	"google.golang.org/protobuf/proto"
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
	foldNever = 16 * snapshotEvery
	// measureEvery is how many events are written before the log is measured again.
	measureEvery = 256
	// ageEvery is how often, by the times of the events, it is looked for events that are too old. In an hour a radio
	// writes some hundred events.
	ageEvery = time.Hour
)

// logKeeper bounds a running server's log: when the log exceeds its limit, or its events are older than they
// may be, the oldest are folded into the state that they led to. The hash chain continues from the last of
// them, as after an archive.
type logKeeper struct {
	server *Server
	limit  int64         // bytes; 0: none
	age    time.Duration // 0: none
	step   uint64        // these are foldStep, foldNever and foldPause; tests use less
	never  uint64
	pause  time.Duration
	stop   context.CancelFunc
	wg     sync.WaitGroup
}

func keepLog(s *Server, limit int64, age time.Duration) *logKeeper {
	return (&logKeeper{server: s, limit: limit, age: age, step: foldStep, never: foldNever, pause: foldPause}).run()
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

// watch folds at the start, because the limits may be new, and whenever enough was written or enough time has passed.
// Without events no time passes, and nothing has to be folded either.
func (k *logKeeper) watch(ctx context.Context) {
	log := k.server.cfg.Log
	aged := k.server.cfg.Now()
	k.bySize(ctx)
	k.byAge(ctx, aged)
	measured := log.Last()
	for record, err := range log.Watch(ctx, measured) {
		if err != nil {
			return // the log is closed, or its disk is broken: others report that
		}
		if record.Seq >= measured+min(measureEvery, k.step) {
			k.bySize(ctx)
			measured = record.Seq
		}
		if record.Time.Sub(aged) >= min(ageEvery, k.age) {
			aged = record.Time
			k.byAge(ctx, aged)
		}
	}
}

// bySize folds until the log is within its limit, but never the newest events.
func (k *logKeeper) bySize(ctx context.Context) {
	log := k.server.cfg.Log
	k.fold(ctx, func() (uint64, bool) {
		last := log.Last()
		if k.limit == 0 || last < log.Base()+k.never+k.step {
			return 0, false
		}
		size, err := log.Size()
		return last - k.never, err == nil && size > k.limit
	})
}

// byAge folds the events that were too old at that time.
func (k *logKeeper) byAge(ctx context.Context, at time.Time) {
	k.fold(ctx, func() (uint64, bool) {
		if k.age == 0 {
			return 0, false
		}
		old, err := k.server.cfg.Log.SeqAt(at.Add(-k.age))
		return old, err == nil
	})
}

// fold makes steps as long as due says that events are to be folded, and up to which number.
func (k *logKeeper) fold(ctx context.Context, due func() (through uint64, is bool)) {
	f := folding{log: k.server.cfg.Log, step: k.step}
	for ctx.Err() == nil {
		through, is := due()
		if !is {
			return
		}
		switch more, err := f.oldest(through); {
		case errors.Is(err, eventlog.ErrFull), errors.Is(err, eventlog.ErrFenced):
			return // the reserve is for events, or another server has the log now and folds it
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

// folding is some steps, one after the other.
type folding struct {
	log   *eventlog.Log
	step  uint64
	state *ServerState // where the log begins; nil: not known yet
}

// oldest drops up to step of the oldest events, in whole commits and none behind number `most`, and keeps the
// state that they led to. It returns false if there is none to drop. A step takes nobody's time: the state is
// computed beside the actors, and an append waits only while the store drops the rows, which it does piece by piece.
func (f *folding) oldest(most uint64) (done bool, err error) {
	base := f.log.Base()
	if most <= base {
		return false, nil
	}
	through, err := f.log.CommitEnd(min(base+f.step, most))
	if err != nil {
		return false, err
	}
	if through == base { // one commit is longer than a step: the first scan of a large library
		if through, err = f.log.NextCommitEnd(base + f.step); err != nil || through > most {
			return false, err
		}
	}
	if f.state == nil {
		state, err := ServerStateAt(f.log, through)
		if err != nil {
			return false, err
		}
		f.state = &state
	} else if err := f.log.Fold(base, through, func(_ uint64, event proto.Message) { *f.state = f.state.Apply(event) }); err != nil {
		return false, err
	}
	return true, f.log.Drop(through, f.state.Frozen())
}
