package relay

import (
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"conga/actors/internal/broadcast"
	"conga/actors/internal/seal"
	"conga/actors/relay/machine"
	"conga/actors/relay/search"
	"conga/messages"
)

// inside runs f with a relay in a bubble of virtual time.
func inside(t *testing.T, f func(h *house)) {
	synctest.Test(t, func(t *testing.T) {
		h := build(t, 400, 400, 400)
		defer h.end()
		f(h)
	})
}

// The only reader is stuck: the music still goes into the window.
func TestRelay_ForwardsWithoutReaders(t *testing.T) {
	inside(t, func(h *house) {
		stuck := h.window.Open(2)
		h.above(1, "bob")
		h.answer(1, 0)
		h.music(1, h.from(1), 300)
		_, live := h.look()
		if live.Next != 301 || live.Received != 299 || live.Lost != 0 {
			t.Errorf("%+v", live)
		}
		if item, err := stuck.Next(t.Context()); err != nil || item.Number < 100 {
			t.Errorf("the stuck reader got %v, %v", item, err)
		}
		if credits, _ := h.link(1).seen(); credits != 300 {
			t.Errorf("%d credits for 300 items", credits)
		}
	})
}

// The search itself takes no time: the next ancestor is dialled at once, for the number needed next.
func TestRelay_SpliceTakesNoTime(t *testing.T) {
	inside(t, func(h *house) {
		h.above(1, "cem", "bob", "amy")
		h.answer(1, 0)
		h.music(1, h.from(1), 50)
		start := time.Now()
		h.send(&messages.UpstreamClosed{Link: 1, Reason: "gone", Fault: messages.Fault_FAULT_GONE})
		h.send(&messages.UpstreamClosed{Link: 2, Reason: "refused"}) // no fault
		if l := h.link(3); l.addr != "amy:1" || l.open.GetNext() != 51 {
			t.Errorf("asked %s for %d", l.addr, l.open.GetNext())
		}
		h.answer(3, 51)
		h.music(3, h.from(51), 60)
		if took := time.Since(start); took != 0 {
			t.Errorf("it took %v", took)
		}
		if _, live := h.look(); live.Lost+live.Twice != 0 || live.Next != 61 || live.Splices != 1 {
			t.Errorf("%+v", live)
		}
		if got := h.accused(); !slices.Equal(got, []string{"cem"}) {
			t.Errorf("accused %v", got)
		}
	})
}

// A frozen ancestor costs only Patience, and its late answer is ignored.
func TestRelay_Frozen(t *testing.T) {
	inside(t, func(h *house) {
		h.above(1, "bob", "amy")
		time.Sleep(machine.Patience)
		synctest.Wait()
		h.answer(2, 0)
		h.fed("amy")
		if _, stopped := h.link(1).seen(); !stopped {
			t.Error("the link to the frozen one is kept")
		}
		h.answer(1, 0)
		h.fed("amy")
	})
}

// While one ancestor feeds, another takes over with its first item and not before. Items that
// come from both are taken once, and the relay gives back a credit for each.
func TestRelay_MakeBeforeBreak(t *testing.T) {
	inside(t, func(h *house) {
		h.above(1, "amy")
		h.answer(1, 0)
		old := h.from(1)
		h.music(1, old, 420) // in the second song, which began with 402
		h.above(2, "bob", "amy")
		h.answer(2, 0)
		h.fed("amy")
		time.Sleep(10 * time.Second)
		h.fed("amy") // bob is alive and has nothing
		h.music(1, old, 425)
		h.music(2, h.from(421), 430)
		h.fed("bob")
		if _, live := h.look(); live.Lost+live.Twice+live.Lies != 0 || live.Next != 431 {
			t.Errorf("%+v", live)
		}
		if credits, _ := h.link(2).seen(); credits != 10 {
			t.Errorf("%d credits for 10 items", credits)
		}
		if _, stopped := h.link(1).seen(); !stopped {
			t.Error("the old link is kept")
		}
	})
}

// An ancestor can still take over if the old upstream dies before.
func TestRelay_BreakBeforeMade(t *testing.T) {
	inside(t, func(h *house) {
		h.above(1, "amy")
		h.answer(1, 0)
		h.music(1, h.from(1), 20)
		h.above(2, "bob", "amy")
		h.answer(2, 0)
		h.send(&messages.UpstreamClosed{Link: 1, Reason: "gone", Fault: messages.Fault_FAULT_GONE})
		h.fed("bob")
		h.music(2, h.from(21), 30)
		if _, live := h.look(); live.Lost != 0 || live.Next != 31 {
			t.Errorf("%+v", live)
		}
	})
}

// The others are first asked for missing items; if nobody has them, the hole is accepted and counted.
func TestRelay_HoleInTheMiddle(t *testing.T) {
	inside(t, func(h *house) {
		h.above(1, "bob", "amy")
		h.answer(1, 0)
		h.music(1, h.from(1), 20)
		time.Sleep(3 * time.Second)
		gap := func(link, first uint64) {
			r := h.from(first)
			r.Asked = 21
			h.music(link, r, first+3)
		}
		gap(1, 25)
		h.answer(2, 25)
		h.answer(3, 25)
		if _, live := h.look(); live.Lost != 0 || len(h.accused()) != 0 {
			t.Errorf("%+v, accused %v", live, h.accused())
		}
		time.Sleep(time.Second)
		h.answer(4, 25)
		gap(4, 25)
		if _, live := h.look(); live.Lost != 4 || live.Next != 29 || live.Upstream != "bob" {
			t.Errorf("%+v", live)
		}
	})
}

// Silence, lies and an old server each end a link; only lies and silence are reported.
func TestRelay_Lies(t *testing.T) {
	inside(t, func(h *house) {
		h.above(1, "bob", "amy")
		h.answer(1, 0)
		h.music(1, h.from(1), 20)
		forged := seal.Sign(broadcast.Key(9), 3, h.b.Fresh(1), []*messages.Item{h.b.Fresh(21)})
		h.send(&messages.UpstreamSeal{Link: 1, Seal: forged})
		h.answer(2, 0)
		h.music(2, h.from(21), 30)
		h.send(&messages.UpstreamItem{Link: 2, Item: h.b.Fresh(30)}) // again
		h.answer(3, 0)
		h.music(3, h.from(31), 40)
		_, live := h.look()
		if live.Lies != 2 || live.Lost != 0 || live.Twice != 1 || live.Next != 41 || live.Upstream != "server" {
			t.Errorf("%+v", live)
		}
		if got := h.accused(); !slices.Equal(got, []string{"bob", "amy"}) {
			t.Errorf("accused %v", got)
		}
	})
}

// Another server has taken over: a node that the old one feeds leaves it.
func TestRelay_Epoch(t *testing.T) {
	inside(t, func(h *house) {
		h.above(1)
		h.answer(1, 0)
		h.music(1, h.from(1), 20)
		h.send(&messages.Welcome{Key: h.b.Key, Epoch: 4})
		if state, _ := h.look(); state.Upstream != nil {
			t.Error("still fed by the old server")
		}
		h.answer(2, 0) // in epoch 3
		if state, _ := h.look(); state.Upstream != nil {
			t.Error("took the old server again")
		}
		time.Sleep(time.Second)
		h.send(&messages.UpstreamOpened{Link: 3, Answer: &messages.StreamOpened{Epoch: 4}})
		h.fed("server")
	})
}

// An upstream is alive but sends no music: all others are asked now and then; the first that
// has some takes over, and the server is told.
func TestRelay_Starving(t *testing.T) {
	inside(t, func(h *house) {
		h.above(1, "bob", "amy")
		h.answer(1, 0)
		h.music(1, h.from(1), 20)
		events := h.log.Last()
		for range 600 { // nobody has any: the server is down
			time.Sleep(time.Second)
			synctest.Wait()
			state, _ := h.look()
			for _, link := range state.Seeking {
				h.answer(link.Number, 0)
			}
		}
		h.fed("bob")
		if wrote := h.log.Last() - events; wrote > 1500 {
			t.Errorf("%d events in ten minutes", wrote)
		}
		if got := h.accused(); len(got) > 0 {
			t.Errorf("accused %v", got)
		}
		for state, _ := h.look(); len(state.Seeking) == 0; state, _ = h.look() {
			time.Sleep(time.Second)
		}
		state, _ := h.look()
		h.answer(state.Seeking[0].Number, 21)
		if state, _ = h.look(); state.Upstream.Number == 1 || !slices.Equal(h.accused(), []string{"bob"}) {
			t.Errorf("fed by %v, accused %v", state.Upstream, h.accused())
		}
	})
}

// A nearer ancestor that was too slow is asked again later, less and less often.
func TestRelay_ClimbsBack(t *testing.T) {
	inside(t, func(h *house) {
		h.above(1, "bob", "amy")
		h.send(&messages.UpstreamClosed{Link: 1, Reason: "refused"})
		h.answer(2, 0)
		r := h.from(1)
		for range 6000 { // ten minutes
			h.music(2, r, min(r.At, 1000))
			time.Sleep(broadcast.Chunk)
			if state, _ := h.look(); len(state.Seeking) > 0 {
				h.send(&messages.UpstreamClosed{Link: state.Seeking[0].Number, Reason: "refused"})
			}
			if r.At > 1000 {
				break
			}
		}
		if n := h.dialled(); n < 4 || n > 8 {
			t.Errorf("%d links in 100 s", n)
		}
		h.fed("amy")
	})
}

// The relay panics in the middle of an item: its successor continues where the window ends,
// trusts the same key, and accuses nobody.
func TestRelay_Restart(t *testing.T) {
	inside(t, func(h *house) {
		h.above(1, "bob", "amy")
		h.answer(1, 0)
		h.music(1, h.from(1), 410)
		var broken atomic.Bool
		h.onTaken(func(number uint64) {
			if number == 411 && broken.CompareAndSwap(false, true) {
				panic("broken")
			}
		})
		h.music(1, h.from(411), 412) // it reads the clock when the next one comes, which is lost with it
		if !broken.Load() {
			t.Fatal("it did not break")
		}
		l := h.link(2)
		if l.addr != "bob:1" || l.open.GetNext() != 412 || l.open.GetEpoch() != 3 {
			t.Errorf("asked %s for %d in epoch %d", l.addr, l.open.GetNext(), l.open.GetEpoch())
		}
		h.answer(2, 412)
		h.music(2, h.from(412), 803)
		_, live := h.look()
		if live.Lost+live.Twice+live.Unproved+live.Lies != 0 || live.Next != 804 || len(h.accused()) > 0 {
			t.Errorf("%+v, accused %v", live, h.accused())
		}
		if !slices.Equal(live.Songs, h.b.Songs[:2]) {
			t.Errorf("%+v", live)
		}
		broken.Store(false)
		h.send(&messages.UpstreamClosed{Link: 2, Reason: "gone", Fault: messages.Fault_FAULT_GONE}) // all answer nothing: it waits
		h.send(&messages.UpstreamClosed{Link: 3, Reason: "gone", Fault: messages.Fault_FAULT_GONE})
		h.send(&messages.UpstreamClosed{Link: 4, Reason: "gone", Fault: messages.Fault_FAULT_GONE})
		time.Sleep(time.Second)
		if h.dialled() < 5 {
			t.Error("the search does not go on")
		}
	})
}

// While the relay restarts, the server says that its broadcast is another one: the next relay begins
// anew once, and not again after another restart.
func TestRelay_RestartAnew(t *testing.T) {
	inside(t, func(h *house) {
		h.dial = func(l *link) *actor.Props {
			return actor.PropsFromProducer(func() actor.Actor { return lastWord{l} })
		}
		h.above(1, "bob", "amy")
		h.answer(1, 0)
		var breaks atomic.Int32
		h.onTaken(func(uint64) {
			switch breaks.Add(1) {
			case 1:
				h.tell(&messages.Welcome{Key: h.b.Key, Epoch: 4, Anew: true})
				panic("broken")
			case 5:
				panic("broken again")
			}
		})
		h.music(1, h.from(1), 3)
		h.b = broadcast.RecordIn(4, time.Now().Add(messages.Slack).UnixMicro(), 40)
		first := uint64(h.dialled())
		if l := h.link(first); l.open.GetNext() != 0 || l.open.GetEpoch() != 4 {
			t.Fatalf("asked for %d in epoch %d", l.open.GetNext(), l.open.GetEpoch())
		}
		number := first
		h.answer(number, 1)
		for r := h.from(1); r.At <= 40; {
			if n := uint64(h.dialled()); n != number { // it broke
				number = n
				r = h.from(h.link(n).open.GetNext())
				h.answer(n, r.At)
			}
			h.music(number, r, r.At)
		}
		if _, live := h.look(); number != first+1 || live.Next != 41 || live.Lost+live.Twice+live.Unproved+live.Lies != 0 {
			t.Errorf("%d links, %+v", number, live)
		}
	})
}

// Everybody is away for ten minutes: the log grows only a little, and the music goes on at once after that.
func TestRelay_AllAway(t *testing.T) {
	inside(t, func(h *house) {
		h.above(1, "dan", "bob", "amy")
		h.answer(1, 0)
		h.music(1, h.from(1), 20)
		h.send(&messages.UpstreamClosed{Link: 1, Reason: "gone", Fault: messages.Fault_FAULT_GONE})
		answered := uint64(1)
		for range 6000 {
			time.Sleep(100 * time.Millisecond)
			for int(answered) < h.dialled() {
				answered++
				h.send(&messages.UpstreamClosed{Link: answered, Reason: "refused"})
			}
		}
		if rate := float64(h.log.Last()) / 600; rate > 10 {
			t.Errorf("%.1f events a second", rate)
		}
		for h.dialled() == int(answered) {
			time.Sleep(search.LastRetry / 10)
		}
		h.answer(answered+1, 21)
		h.music(answered+1, h.from(21), 30)
		if _, live := h.look(); live.Lost != 0 || live.Next != 31 {
			t.Errorf("%+v", live)
		}
	})
}

// lastWord is a link that reports its end while it is being stopped, as real links do.
type lastWord struct{ *link }

func (l lastWord) Receive(ctx actor.Context) {
	if _, ok := ctx.Message().(*actor.Stopping); ok {
		ctx.Send(ctx.Parent(), &messages.UpstreamClosed{Link: l.number, Reason: "stopped"})
	}
	l.link.Receive(ctx)
}

// When a relay ends or restarts, it does not dial because its links end. Messages that come meanwhile are
// not lost.
func TestRelay_EndsWithItsLinks(t *testing.T) {
	inside(t, func(h *house) {
		h.dial = func(l *link) *actor.Props {
			return actor.PropsFromProducer(func() actor.Actor { return lastWord{l} })
		}
		h.above(1, "bob", "amy")
		h.answer(1, 0)
		var broken atomic.Bool
		h.onTaken(func(uint64) {
			if broken.CompareAndSwap(false, true) {
				h.tell(&messages.Neighbours{Id: "me", Event: 2, Ancestors: []*messages.Node{ancestor("bob"), ancestor("amy")}})
				h.tell(&messages.StreamOffered{Node: ancestor("bob"), Ticket: 7})
				panic("broken")
			}
		})
		h.music(1, h.from(1), 3)
		h.answer(2, 3)
		if state, live := h.look(); state.Links != 2 || state.Event != 2 || live.Upstream != "bob" {
			t.Errorf("%d links, told %d, fed by %q", state.Links, state.Event, live.Upstream)
		}
		if !slices.Equal(h.refused, []uint64{7}) {
			t.Errorf("refused %v", h.refused)
		}
		h.above(3, "amy")
	}) // and its end is waited for
}
