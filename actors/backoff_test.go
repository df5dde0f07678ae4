package actors

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// The wait doubles up to its longest and stays there; an actor that ran well begins anew.
func TestBackoff_Grows(t *testing.T) {
	for _, c := range []struct{ before, ran, want time.Duration }{
		{0, 0, firstWait},
		{firstWait, 0, 2 * firstWait},
		{firstWait, soundAfter - 1, 2 * firstWait},
		{firstWait, soundAfter, firstWait},
		{longestWait, 0, longestWait},
		{longestWait, soundAfter, firstWait},
		{longestWait - 1, time.Second, longestWait},
	} {
		if got := nextWait(c.before, c.ran); got != c.want {
			t.Errorf("after %v, then %v of work: %v, want %v", c.before, c.ran, got, c.want)
		}
	}
}

// An actor that cannot start for an hour is started some hundred times, not thousands; one
// hour later it works, and its neighbour has not noticed.
func TestBackoff_Tree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &tree{name: "tree", system: actor.NewActorSystem(
			actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }),
			actor.WithDeadLetterThrottleInterval(time.Millisecond),
		)}
		begun := time.Now()
		var starts []time.Duration
		sound := 0
		err := tr.start(
			child{"broken", actor.PropsFromFunc(func(ctx actor.Context) {
				if _, started := ctx.Message().(*actor.Started); started {
					starts = append(starts, time.Since(begun))
					if time.Since(begun) < time.Hour {
						panic("no space left on device")
					}
				}
			})},
			child{"sound", actor.PropsFromFunc(func(ctx actor.Context) {
				if _, started := ctx.Message().(*actor.Started); started {
					sound++
				}
			})},
		)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if len(starts) < 300 || len(starts) > 400 || sound != 1 {
			t.Errorf("started %d times, the neighbour %d", len(starts), sound)
		}
		for i := 1; i < len(starts); i++ {
			if was, is := starts[i-1], starts[i]; i > 1 && is-was < was-starts[i-2] {
				t.Fatalf("start %d came %v after the one before, which waited longer", i, is-was)
			}
		}
		if last := starts[len(starts)-1]; last < time.Hour || last > time.Hour+longestWait {
			t.Errorf("it works after %v", last)
		}
		tr.stop()
		time.Sleep(2 * time.Millisecond) // the library's throttle
	})
}
