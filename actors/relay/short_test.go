package relay

import (
	"bytes"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"conga/actors/eventlog"
	"conga/actors/relay/machine"
	"conga/actors/relay/search"
	"conga/messages"
)

// An item that nothing else follows from is in the window before its link goes on to read. Its credit is not needed.
func TestRelay_ShortWay(t *testing.T) {
	inside(t, func(h *house) {
		h.above(1, "bob")
		h.answer(1, 0)
		h.music(1, h.from(1), 20)
		l, r := h.link(1), h.from(21)
		for range 10 {
			s, _, item := r.Next()
			if s != nil { // if that went through the mailbox, so would the item behind it
				l.report(&messages.UpstreamSeal{Link: 1, Seal: s})
			}
			if l.report(&messages.UpstreamItem{Link: 1, Item: item}) != 1 || h.window.Last() != item {
				t.Fatalf("item %d is not done with", item.Number)
			}
		}
	})
}

// Items that come at once are in the window before their link goes on, and each was checked before: behind one that is a
// lie, none is taken.
func TestRelay_AtOnce(t *testing.T) {
	for _, lies := range []bool{false, true} {
		inside(t, func(h *house) {
			h.above(1, "bob")
			h.answer(1, 0)
			h.music(1, h.from(1), 20)
			l, r := h.link(1), h.from(21)
			var all messages.UpstreamAtOnce
			for range 20 {
				s, _, item := r.Next()
				if s != nil {
					all = append(all, &messages.UpstreamSeal{Link: 1, Seal: s})
				}
				if lies && item.Number == 31 {
					item = messages.NewChunk(item.Number, item.FirstFrame, bytes.Repeat([]byte{1}, len(item.Frames)))
				}
				all = append(all, &messages.UpstreamItem{Link: 1, Item: item})
			}
			last, want := uint64(40), 20
			if lies {
				last, want = 30, 11 // the others are in the mailbox
			}
			if done := l.report(&all); done != want || h.window.Last().Number != last {
				t.Errorf("lies %v: %d items are done with, the last one in the window is %d", lies, done, h.window.Last().Number)
			}
			synctest.Wait()
			if _, live := h.look(); live.Next != last+1 || lies != (live.Lies == 1) {
				t.Errorf("lies %v: %+v", lies, live)
			}
		})
	}
}

// The machine looks at the music as often as ever: items bring that about, and when none come, the clock.
func TestRelay_Looks(t *testing.T) {
	inside(t, func(h *house) {
		h.above(1, "bob")
		h.answer(1, 0)
		h.music(1, h.from(1), 20)
		l, r := h.link(1), h.from(21)
		var looks atomic.Int64
		h.onTaken(func(uint64) { looks.Add(1) }) // the machine is asked
		const chunk, chunks = 104 * time.Millisecond, 100
		for range chunks {
			s, _, item := r.Next()
			if s != nil {
				l.report(&messages.UpstreamSeal{Link: 1, Seal: s})
				looks.Add(-1)
			}
			looks.Add(-int64(l.report(&messages.UpstreamItem{Link: 1, Item: item})))
			time.Sleep(chunk)
		}
		if n, want := looks.Load(), int64(chunks*chunk/machine.Glance); n < want-2 || n > want {
			t.Errorf("%d looks while music came, want %d", n, want)
		}
		looks.Store(0)
		if time.Sleep(4*machine.Glance + messages.MaxChunkDuration); looks.Load() < 4 {
			t.Errorf("%d looks when no music came any more, want 4", looks.Load())
		}
	})
}

// Links report while the server's messages and looks come, and while the actor restarts. Whichever way an item took:
// each is in the window once, in order, nothing is lost, and the log tells the state.
func TestRelay_ShortWayBesideOthers(t *testing.T) {
	for _, breaks := range []bool{false, true} {
		inside(t, func(h *house) {
			h.above(1, "cem", "bob")
			h.answer(1, 0)
			if breaks {
				once := sync.Once{}
				h.onTaken(func(number uint64) {
					if number > 100 {
						once.Do(func() { panic("broken") })
					}
				})
			}
			var all sync.WaitGroup
			all.Go(func() {
				reader, l := h.from(1), h.link(1)
				for reader.At <= 300 {
					s, song, item := reader.Next()
					if s != nil {
						l.report(&messages.UpstreamSeal{Link: 1, Seal: s})
					}
					if song != nil {
						l.report(&messages.UpstreamItem{Link: 1, Item: song})
					}
					l.report(&messages.UpstreamItem{Link: 1, Item: item})
				}
			})
			all.Go(func() {
				for event := range uint64(50) {
					h.tell(&messages.Neighbours{Id: "me", Event: event + 2, Ancestors: []*messages.Node{ancestor("cem"), ancestor("bob")}})
					h.tell(&messages.Look{Reply: make(chan messages.View, 1)})
				}
			})
			all.Wait()
			synctest.Wait()
			if breaks { // the new relay has asked again
				_, live := h.look()
				number := uint64(h.dialled())
				h.answer(number, live.Next)
				h.music(number, h.from(live.Next), 300)
			}
			state, live := h.look()
			if live.Next != 301 || live.Lost+live.Twice+live.Lies != 0 {
				t.Errorf("broken %v: %+v", breaks, live)
			}
			replayed, err := eventlog.NewKeeper(h.log, Actor, search.State{})
			must(t, err)
			if got := replayed.State(); len(got.Seeking) != len(state.Seeking) || got.Links != state.Links || got.Upstream.Number != state.Upstream.Number {
				t.Errorf("broken %v: replayed %+v, live %+v", breaks, got, state)
			}
			cursor := h.window.Open(2)
			for last := uint64(0); last < 300; {
				item, err := cursor.Next(t.Context())
				if err != nil || last > 0 && item.Number != last+1 {
					t.Fatalf("after item %d the window has %v, %v", last, item, err)
				}
				last = item.Number
			}
			time.Sleep(time.Second)
		})
	}
}

// The short way of an item needs no memory but the window's own.
func TestRelay_ShortWayAllocates(t *testing.T) {
	inside(t, func(h *house) {
		h.above(1, "bob")
		h.answer(1, 0)
		h.music(1, h.from(1), 20)
		l, r := h.link(1), h.from(21)
		items, allocations := uint64(0), uint64(0)
		for r.At <= 150 {
			s, _, item := r.Next()
			if s != nil {
				l.report(&messages.UpstreamSeal{Link: 1, Seal: s})
			}
			word := &messages.UpstreamItem{Link: 1, Item: item}
			before := mallocs()
			if l.report(word) != 1 {
				t.Errorf("item %d went another way", item.Number)
			}
			allocations += mallocs() - before
			items++
		}
		if allocations > items/4 { // a list grows, a song's sum begins
			t.Errorf("%d items took %d allocations", items, allocations)
		}
	})
}

func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}
