package relay

import (
	"slices"
	"testing"
	"time"

	"conga/actors/internal/broadcast"
	"conga/actors/relay/search"
	"conga/messages"
)

// line is a link on which everything takes longer and longer: half a second more in each
// second. The nodes' estimates of the server's clock differ.
type line struct {
	h     *house
	link  uint64
	from  *broadcast.Reader
	since time.Time
}

const clocksApart = 3 * time.Millisecond

func (h *house) line(link, next uint64) *line {
	return &line{h: h, link: link, from: h.from(next), since: time.Now()}
}

// runs lets the music come for this long, an item each tenth of a second, with the upstream's
// stamp; it stops when the relay asks another node.
func (l *line) runs(long time.Duration, slow bool) (asked *search.Link) {
	for begin := time.Now(); time.Since(begin) < long; time.Sleep(50 * time.Millisecond) {
		at := time.Since(l.since)
		sent := at
		if slow {
			sent /= 2
		}
		l.h.sent = func() int64 { return l.since.Add(sent + clocksApart).UnixMicro() }
		l.h.music(l.link, l.from, l.from.Asked+uint64(sent/(100*time.Millisecond)))
		if state, _ := l.h.look(); len(state.Seeking) > 0 {
			return &state.Seeking[0]
		}
	}
	return nil
}

// An upstream whose line is too slow is left long before the slack is used up, and the
// server is told. If the next one is as slow, the cause is this node's own line, and
// nobody else is blamed.
func TestRelay_SlowLine(t *testing.T) {
	inside(t, func(h *house) {
		h.above(1, "bob", "amy")
		h.answer(1, 1)
		begin := time.Now()
		asked := h.line(1, 1).runs(5*time.Second, true)
		if asked == nil || asked.Node.ID != "amy" || time.Since(begin) > 2*time.Second {
			t.Fatalf("asked %v after %v", asked, time.Since(begin))
		}
		h.shows(asked.Number)
		_, live := h.look()
		if h.fed("amy"); !slices.Equal(h.accused(), []string{"bob"}) {
			t.Errorf("accused %v", h.accused())
		}
		h.above(2, "amy") // bob was moved
		if asked = h.line(asked.Number, live.Next).runs(5*time.Second, true); asked == nil {
			t.Fatal("stayed with amy, whose music comes late, too")
		}
		h.shows(asked.Number)
		if h.fed("server"); !slices.Equal(h.accused(), []string{"bob"}) {
			t.Errorf("accused %v, though its own line is slow", h.accused())
		}
	})
}

// A line that was slow before this node came to it is left just as soon.
func TestRelay_SlowFromTheFirst(t *testing.T) {
	inside(t, func(h *house) {
		h.above(1, "bob", "amy")
		const late = 1500 * time.Millisecond
		h.sent = func() int64 { return time.Now().Add(-late).UnixMicro() }
		h.answer(1, 1)
		for r, begin := h.from(1), time.Now(); ; time.Sleep(100 * time.Millisecond) {
			h.music(1, r, r.Asked+uint64(time.Since(begin)/(100*time.Millisecond)))
			state, _ := h.look()
			if len(state.Seeking) > 0 {
				break
			}
			if time.Since(begin) > 2*time.Second {
				t.Fatal("nobody else was asked")
			}
		}
	})
}

// A node further up falls silent, and for a second nothing comes. This is no sign of a slow line, and the
// nodes that it feeds find another upstream as soon as this one could.
func TestRelay_StopFurtherUp(t *testing.T) {
	inside(t, func(h *house) {
		h.above(1, "bob", "amy")
		h.sent = func() int64 { return time.Now().UnixMicro() }
		h.answer(1, 1)
		for r, begin := h.from(1), time.Now(); time.Since(begin) < 5*time.Second; time.Sleep(50 * time.Millisecond) {
			if at := time.Since(begin); at < time.Second || at > 2100*time.Millisecond {
				h.music(1, r, uint64(at/(100*time.Millisecond)))
			}
			if state, _ := h.look(); len(state.Seeking) > 0 {
				t.Fatalf("asked %v after %v", state.Seeking, time.Since(begin))
			}
		}
	})
}

// An upstream that gets its music late is not to blame if nobody above has it earlier.
func TestRelay_LateUpstream(t *testing.T) {
	inside(t, func(h *house) {
		time.Sleep(1800 * time.Millisecond) // all of it is late by now
		h.above(1, "bob", "amy")
		h.answer(1, 1)
		line := h.line(1, 1)
		for range 8 {
			asked := line.runs(4*time.Second, false)
			if asked == nil {
				break
			}
			_, live := h.look()
			h.send(&messages.UpstreamOpened{Link: asked.Number, Answer: &messages.StreamOpened{
				First: live.Next, Epoch: 3, Newest: live.Next,
			}})
		}
		if h.fed("bob"); len(h.accused()) > 0 {
			t.Errorf("accused %v", h.accused())
		}
	})
}

// A relay that delays each item a little more, with a false stamp, is found by its listener's own
// clock: others have the music earlier.
func TestRelay_Delays(t *testing.T) {
	inside(t, func(h *house) {
		h.above(1, "bob", "amy")
		h.answer(1, 1)
		h.sent = func() int64 { return time.Now().UnixMicro() }
		r := h.from(1)
		for begin := time.Now(); ; time.Sleep(10 * time.Millisecond) {
			held := time.Since(begin) / 50 // of each second of music, 20 ms more
			for int(r.At) < len(h.b.Items) && !due(h.b.Item(r.At)).Add(held).After(time.Now()) {
				h.music(1, r, r.At)
			}
			state, live := h.look()
			if len(state.Seeking) > 0 {
				h.shows(state.Seeking[0].Number)
			}
			if _, live = h.look(); live.Upstream != "bob" {
				break
			}
			if left := h.b.Item(live.Next).PlayAt() - time.Now().UnixMicro(); left < 300_000 {
				t.Fatalf("not left with %d us to play", left)
			}
			if time.Since(begin) > 100*time.Second {
				t.Fatal("nobody else was asked")
			}
		}
		if h.fed("amy"); !slices.Equal(h.accused(), []string{"bob"}) {
			t.Errorf("accused %v", h.accused())
		}
	})
}

// A nearer node that had no music yet when it was asked is not slow because of that wait: what
// counts is when its first music was sent.
func TestRelay_WaitedFor(t *testing.T) {
	inside(t, func(h *house) {
		h.above(1, "amy")
		h.sent = func() int64 { return time.Now().UnixMicro() }
		h.answer(1, 1)
		begin := time.Now()
		last := func() uint64 { return uint64(time.Since(begin)/(100*time.Millisecond)) + 1 }
		amy := h.from(1)
		h.music(1, amy, last())
		h.above(2, "bob", "amy")
		h.send(&messages.UpstreamOpened{Link: 2, Answer: &messages.StreamOpened{
			Epoch: 3, AtUnixUs: time.Now().UnixMicro(), // and no first item
		}})
		for range 30 {
			time.Sleep(50 * time.Millisecond)
			h.music(1, amy, last())
		}
		_, live := h.look()
		bob := h.from(live.Next)
		for begun := time.Now(); time.Since(begun) < 3*time.Second; time.Sleep(50 * time.Millisecond) {
			if h.sent = nil; bob.At == live.Next || time.Since(begun) > 800*time.Millisecond { // a word now and then
				h.sent = func() int64 { return time.Now().UnixMicro() }
			}
			h.music(2, bob, last())
			if state, _ := h.look(); len(state.Seeking) > 0 && state.Seeking[0].Number > 2 {
				t.Fatalf("asked %v after %v", state.Seeking, time.Since(begun))
			}
		}
		h.fed("bob")
	})
}
