package lease

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"conga/actors/eventlog"
)

// line is a server's way to a register, which can be cut.
type line struct {
	eventlog.Claims
	cut atomic.Bool
}

var errCut = errors.New("the line is cut")

func (l *line) Claim(ctx context.Context, expected uint64, data []byte) (uint64, error) {
	if l.cut.Load() {
		<-ctx.Done()
		return 0, errCut
	}
	return l.Claims.Claim(ctx, expected, data)
}

const length = time.Second

// registers returns three new ones.
func registers() []eventlog.Claims {
	return []eventlog.Claims{eventlog.NewClaims(), eventlog.NewClaims(), eventlog.NewClaims()}
}

// cuttable returns a server's ways to the registers.
func cuttable(registers []eventlog.Claims) (ways []*line, claims []eventlog.Claims) {
	for _, r := range registers {
		ways = append(ways, &line{Claims: r})
		claims = append(claims, ways[len(ways)-1])
	}
	return ways, claims
}

func begin(t *testing.T, claims []eventlog.Claims, requests string) *Lease {
	l := Start(Config{Claims: claims, Length: length, Requests: requests, Now: func() int64 { return time.Now().UnixMicro() }, Logger: slog.New(slog.DiscardHandler)})
	t.Cleanup(l.Close)
	return l
}

// until waits for what ok asks for and returns when it came.
func until(l *Lease, ok func(Standing) bool) time.Time {
	for {
		at, changed := l.Standing()
		if ok(at) {
			return time.Now()
		}
		<-changed
	}
}

func leads(at Standing) bool { return at.Term > 0 }

// A leader without most of the registers stops before the other starts, and follows when its line is whole again.
func TestLease_Takeover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := registers()
		ways, claims := cuttable(shared)
		one := begin(t, claims, "one:7000")
		began := until(one, leads)
		other := begin(t, shared, "other:7000")
		until(other, func(at Standing) bool { return at.Leader.GetRequests() == "one:7000" })
		time.Sleep(10 * length)
		for l, leads := range map[*Lease]bool{one: true, other: false} {
			at, _ := l.Standing()
			if live := at.Live(); live.Leads != leads || live.Leader != "one:7000" || !live.Since.Equal(began) {
				t.Errorf("one leads since %v: %+v", began, live)
			}
		}
		if !one.Leads() || other.Leads() {
			t.Fatal("the first one does not keep the lead")
		}
		for _, way := range ways[1:] { // one register is no right
			way.cut.Store(true)
		}
		cut := time.Now()
		stopped := until(one, func(at Standing) bool { return !leads(at) })
		started := until(other, leads)
		if !stopped.Before(started) {
			t.Errorf("one stopped after %v, the other started after %v", stopped.Sub(cut), started.Sub(cut))
		}
		if took := started.Sub(cut); took > length+2*marginOf(length) {
			t.Errorf("the takeover took %v", took)
		}
		for _, way := range ways {
			way.cut.Store(false)
		}
		until(one, func(at Standing) bool { return at.Leader.GetRequests() == "other:7000" })
		time.Sleep(10 * length)
		if one.Leads() || !other.Leads() {
			t.Error("the second one does not keep the lead")
		}
	})
}

// A leader loses its line to each register in turn, and keeps the lead.
func TestLease_OneAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := registers()
		ways, claims := cuttable(shared)
		one := begin(t, claims, "one:7000")
		until(one, leads)
		other := begin(t, shared, "other:7000")
		first, _ := one.Standing()
		for _, way := range ways {
			way.cut.Store(true)
			for range 1000 {
				time.Sleep(10 * time.Millisecond)
				if !one.LeadsIn(first.Term) || other.Leads() {
					t.Fatal("the first one does not keep the lead")
				}
			}
			way.cut.Store(false)
			time.Sleep(length)
		}
	})
}

// One that stops by itself tells the other, which need not wait.
func TestLease_Release(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := registers()
		one := begin(t, shared, "one:7000")
		until(one, leads)
		other := begin(t, shared, "other:7000")
		until(other, func(at Standing) bool { return at.Known })
		time.Sleep(length)
		released := time.Now()
		one.Release(t.Context())
		if one.Leads() {
			t.Error("it still leads")
		}
		if took := until(other, leads).Sub(released); took > length/10 {
			t.Errorf("the takeover took %v", took)
		}
	})
}

// A server that cannot lead leaves the lead to another.
func TestLease_Fall_Other(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := registers()
		one := begin(t, shared, "one:7000")
		until(one, leads)
		other := begin(t, shared, "other:7000")
		time.Sleep(length)
		one.Fall()
		if took := until(other, leads); one.Leads() {
			t.Error("both lead at", took)
		}
	})
}

// The clock of another leader is known, and is taken over once.
func TestLease_Clock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared, quiet := registers(), slog.New(slog.DiscardHandler)
		fast := Start(Config{Claims: shared, Length: length, Now: func() int64 { return time.Now().Add(time.Hour).UnixMicro() }, Logger: quiet})
		defer fast.Close()
		until(fast, leads)
		other := begin(t, shared, "other:7000")
		time.Sleep(3 * length)
		if timed, ahead := other.Timed(), other.TakeAhead(); !timed || ahead != time.Hour.Microseconds() {
			t.Errorf("it is %d us ahead", ahead)
		}
		if again := other.TakeAhead(); again != 0 {
			t.Errorf("then it is %d us ahead", again)
		}
		if ahead := fast.TakeAhead(); ahead != 0 {
			t.Errorf("the leader is %d us ahead of itself", ahead)
		}
	})
}

// Proof that another leads ends the leadership at once.
func TestLease_Fall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := begin(t, registers(), "one:7000")
		until(l, leads)
		first, _ := l.Standing()
		l.Fall()
		synctest.Wait()
		if l.LeadsIn(first.Term) {
			t.Error("it leads on")
		}
		until(l, leads)
		if again, _ := l.Standing(); again.Term <= first.Term {
			t.Errorf("term %d follows term %d", again.Term, first.Term)
		}
	})
}

// A log that fails after the lease was closed is held up by nothing.
func TestLease_Fall_Closed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := begin(t, registers(), "a:1")
		l.Close()
		for range 2 * cap(l.inputs) {
			l.Fall()
		}
	})
}
