package transport

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"conga/messages"
)

// An expected listener has a seat, whatever strangers do and however often the list changes: a model of all
// that a port may be told, in any order.
func TestSeats_Model(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"})
		addresses := rapid.IntRange(1, 6)
		var s seats
		list, sitting := map[string]bool{}, map[string]*seat{} // who is expected, who has a seat
		gone := func(t *rapid.T, out []*seat) {
			for _, seat := range out {
				if sitting[seat.id] != seat {
					t.Fatalf("%s has to go twice", seat.id)
				}
				delete(sitting, seat.id)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"expect": func(t *rapid.T) {
				id := ids.Draw(t, "id")
				list[id] = !list[id]
				out := s.recount(func(id string) bool { return list[id] })
				for _, seat := range out {
					if list[seat.id] {
						t.Fatalf("%s is expected and has to go", seat.id)
					}
				}
				gone(t, out)
			},
			"come": func(t *rapid.T) {
				id := ids.Draw(t, "id")
				from := netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(addresses.Draw(t, "address"))}), 32)
				newcomer := &seat{id: id, from: from, expected: list[id]}
				before := sitting[id]
				out := s.take(newcomer)
				if before != nil && !slices.Contains(out, before) {
					t.Fatalf("%s has two streams", id)
				}
				for _, other := range out {
					if list[other.id] && other != before {
						t.Fatalf("%s is expected and has to go for %s", other.id, id)
					}
				}
				gone(t, out)
				sitting[id] = newcomer
			},
			"leave": func(t *rapid.T) {
				id := ids.Draw(t, "id")
				if seat := sitting[id]; seat != nil {
					s.leave(seat)
					s.leave(seat)
					delete(sitting, id)
				}
			},
			"": func(t *rapid.T) {
				if len(s.taken) != len(sitting) {
					t.Fatalf("%d seats are taken, %d by the books", len(sitting), len(s.taken))
				}
				strangers, of := 0, map[netip.Prefix]int{}
				for id, seat := range sitting {
					if s.taken[id] != seat {
						t.Fatalf("%s sits on nothing", id)
					}
					if !list[id] {
						strangers++
						of[seat.from]++
					}
				}
				for from, n := range of {
					if n > maxStrangersOfAddress || strangers > maxStrangers {
						t.Fatalf("%d strangers, %d from %v", strangers, n, from)
					}
				}
			},
		})
	})
}

// node is a listener's port in a test: it knows its guests, and whether it hears from the server.
func guestHouse(t *testing.T, l net.Listener, guests ...*Identity) (streamHouse, *Expected) {
	expected := newListenerExpected()
	expected.linked(+1)
	ids := make([]string, len(guests))
	for i, guest := range guests {
		ids[i] = guest.ID()
	}
	expected.Guests(ids)
	return openStreams(t, l, func(c *StreamsConfig) { c.Expected = expected }), expected
}

// asks says HI and returns the answer.
func asks(t *testing.T, conn net.Conn, who *Identity) (*messages.StreamOpened, *bufio.Reader) {
	t.Helper()
	send(t, conn, saidBy(t, who, &messages.OpenStream{}))
	r := bufio.NewReader(conn)
	return unmarshal(t, readFrame(t, r, messages.KindHi).Payload, &messages.StreamOpened{}), r
}

// Any number of strangers with their own keys say HI and stay: no listener that the chain sends waits
// because of them. (Once 64 random ids made a node "full".)
func TestStreams_StrangersTakeNoSeat(t *testing.T) {
	l := listen(t)
	guestHouse(t, l, amy, bob)
	refused := make(chan *messages.StreamOpened)
	const crowd = 100
	for range crowd {
		conn := dial(t, l)
		send(t, conn, saidBy(t, NewIdentity(), &messages.OpenStream{}))
		go func() {
			answer := &messages.StreamOpened{}
			if frame, err := ReadFrame(bufio.NewReader(conn)); err == nil {
				answer = unmarshal(t, frame.Payload, answer)
			}
			refused <- answer
		}()
	}
	for _, guest := range []*Identity{amy, bob} {
		if answer, _ := asks(t, dial(t, l), guest); answer.GetRefusal() != messages.StreamOpened_REFUSAL_NONE {
			t.Errorf("refused: %v", answer)
		}
	}
	for range crowd {
		if answer := <-refused; answer.GetRefusal() != messages.StreamOpened_REFUSAL_STRANGER {
			t.Fatalf("a stranger was answered %v", answer)
		}
	}
}

// A guest that comes before this node has heard of it waits, but less long than an upstream may be
// silent. A guest that was removed a moment ago may still come.
func TestStreams_GuestOfAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		_, expected := guestHouse(t, l, amy)
		early := l.dial(t)
		send(t, early, saidBy(t, bob, &messages.OpenStream{}))
		time.Sleep(listWait - time.Millisecond)
		expected.Guests([]string{bobID})
		readFrame(t, bufio.NewReader(early), messages.KindHi)

		time.Sleep(listGrace - time.Second)
		if answer, _ := asks(t, l.dial(t), amy); answer.GetRefused() != "" {
			t.Errorf("who was expected a moment ago: %v", answer)
		}
		time.Sleep(time.Second)
		start := time.Now()
		if answer, _ := asks(t, l.dial(t), amy); answer.GetRefused() != errUnexpected.Error() || time.Since(start) != listWait {
			t.Errorf("later: %v after %v", answer, time.Since(start))
		}
		if listWait >= messages.SilenceIsDeath {
			t.Error("who waits takes this node for dead")
		}
	})
}

// While the server is away, its list may be old: a few listeners that are not on it are fed. They displace
// only each other.
func TestStreams_WithoutServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		house, expected := guestHouse(t, l, amy)
		expected.linked(-1)
		amysConn := l.dialFrom(t, "192.0.2.1:1")
		if answer, _ := asks(t, amysConn, amy); answer.GetRefused() != "" {
			t.Fatal(answer)
		}
		await[*messages.DownstreamOpened](t, house.told)
		open := 0
		for i := range 40 {
			conn := l.dialFrom(t, fmt.Sprintf("198.51.100.%d:1", i%3+1))
			if answer, _ := asks(t, conn, NewIdentity()); answer.GetRefused() == "" {
				open++
			}
		}
		synctest.Wait()
		for len(house.told) > 0 {
			if closed, is := (<-house.told).(*messages.DownstreamClosed); is {
				open--
				if closed.Node.GetId() == amyID || closed.Reason != errSeat.Error() {
					t.Errorf("closed %v", closed)
				}
			}
		}
		if open != maxStrangers {
			t.Errorf("%d strangers are fed", open)
		}
		expected.linked(+1) // the server is back, and says nothing of them
		if answer, _ := asks(t, l.dialFrom(t, "192.0.2.9:1"), NewIdentity()); answer.GetRefused() != errUnexpected.Error() {
			t.Errorf("the server is back: %v", answer)
		}
	})
}

// A listener that has left the chain does not keep its seat for ever, even if nobody else comes.
func TestStreams_Overstay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		crew := make([]*Identity, 10)
		for i := range crew {
			crew[i] = NewIdentity()
		}
		house, expected := guestHouse(t, l, append(crew, amy)...)
		for i, who := range append(crew, amy) {
			conn := l.dialFrom(t, fmt.Sprintf("198.51.100.%d:1", i/5))
			if answer, r := asks(t, conn, who); answer.GetRefused() != "" {
				t.Fatal(answer)
			} else {
				go func() { _, _ = r.WriteTo(io.Discard) }()
			}
		}
		expected.Guests([]string{amyID})
		time.Sleep(listGrace - time.Second)
		closed := func() (n int) {
			synctest.Wait()
			for len(house.told) > 0 {
				if closed, is := (<-house.told).(*messages.DownstreamClosed); is {
					n++
					if closed.Node.GetId() == amyID {
						t.Error("a guest has to go")
					}
				}
			}
			return n
		}
		if n := closed(); n > 0 {
			t.Errorf("%d have to go at once", n)
		}
		time.Sleep(sweepEvery + time.Second)
		if n := closed(); n != len(crew)-maxStrangers {
			t.Errorf("%d of %d had to go", n, len(crew))
		}
	})
}

// A listener has one stream at a node: the newer. A HI that was overheard from the older opens none.
func TestStreams_OneStreamEach(t *testing.T) {
	l := listen(t)
	house, _ := guestHouse(t, l, amy)
	hi := saidBy(t, amy, &messages.OpenStream{})
	older := dial(t, l)
	send(t, older, hi)
	readFrame(t, bufio.NewReader(older), messages.KindHi)
	await[*messages.DownstreamOpened](t, house.told)

	thief := dial(t, l)
	send(t, thief, hi)
	answer := unmarshal(t, readFrame(t, bufio.NewReader(thief), messages.KindHi).Payload, &messages.StreamOpened{})
	if answer.GetRefused() != errReplayed.Error() || answer.GetRefusal() != messages.StreamOpened_REFUSAL_STALE {
		t.Errorf("said again: %v", answer)
	}
	if len(house.told) > 0 {
		t.Errorf("amy lost her stream: %v", <-house.told)
	}

	newer := dial(t, l)
	if answer, _ := asks(t, newer, amy); answer.GetRefused() != "" {
		t.Errorf("again: %v", answer)
	}
	ends(t, older)
	var opened, closed bool
	for range 2 {
		select {
		case m := <-house.told:
			switch m := m.(type) {
			case *messages.DownstreamOpened:
				opened = true
			case *messages.DownstreamClosed:
				closed = m.Reason == errSeat.Error()
			}
		case <-time.After(patience):
			t.Fatal("told nothing")
		}
	}
	if !opened || !closed {
		t.Errorf("opened %v, closed %v", opened, closed)
	}
}

// A port that has just been opened refuses requests to the previous port at that address, which may
// have answered them already.
func TestStreams_WordsToTheLifeBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		openStreams(t, l, nil)
		say := func(ago time.Duration) string {
			open := &messages.OpenStream{Upstream: messages.ServerID}
			amy.SignOpen(open, time.Now().Add(-ago).UnixMicro())
			conn := l.dial(t)
			defer conn.Close()
			send(t, conn, mustFrame(t, messages.KindHi, open))
			return unmarshal(t, readFrame(t, bufio.NewReader(conn), messages.KindHi).Payload, &messages.StreamOpened{}).GetRefused()
		}
		if got := say(clockError + time.Second); got != errStale.Error() {
			t.Errorf("said to the process before: %q", got)
		}
		if got := say(clockError - time.Second); got != "" {
			t.Errorf("said by a clock that is behind: %q", got)
		}
		time.Sleep(time.Minute)
		if got := say(clockError + time.Second); got != "" {
			t.Errorf("later: %q", got)
		}
	})
}

// A listener that asks again and again for the same music gets it no faster than the music plays.
func TestStreams_Greedy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const window = 120 // chunks: twelve seconds
		l := newPipes()
		openStreams(t, l, func(c *StreamsConfig) {
			c.Open = func(*messages.OpenStream) (Cursor, error) {
				var items []*messages.Item
				for i := range window {
					items = append(items, testChunk(uint64(9+i), nil))
				}
				return newTape(items...), nil
			}
		})
		got, began := 0, time.Now()
		for time.Since(began) < time.Minute {
			conn := l.dial(t)
			answer, r := asks(t, conn, amy)
			for i := 0; i < window && answer.GetRefused() == ""; i++ {
				for { // a song change comes first
					frame, err := ReadFrame(r)
					if err != nil {
						t.Fatal(err)
					}
					if frame.Kind == messages.KindChunk {
						got++
						break
					}
				}
			}
			_ = conn.Close()
			time.Sleep(100 * time.Millisecond)
		}
		if most := feedAtOnce + feedRate*60 + window; got > most || got < most/2 {
			t.Errorf("%d chunks in a minute, at most %d", got, most)
		}
	})
}

// A listener's port learns from its server who its guests are, who may offer, and whether the server is there.
func TestMembership_Expected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		house := openRequests(t, l, nil)
		member := NewMembership(amy, "", &someTrust{})
		expected := member.Expected()
		if expected.is(bobID) != provisional {
			t.Error("before the server's word strangers are unwelcome")
		}
		system := newSystem(t)
		requester, told := child(t, system, RequestLink(RequestLinkConfig{
			Link: 4, Member: member, Dial: func(context.Context, string) (net.Conn, error) { return l.dial(t), nil },
		}))
		await[*messages.RequestsOpened](t, told)
		system.Root.Send(requester, &messages.Hello{Version: 1, Leaf: true})
		synctest.Wait()
		if expected.is(bobID) != unwelcome {
			t.Error("everybody is welcome")
		}
		house.system.Root.Send(house.pid, &messages.Neighbours{
			Id: amyID, Event: 1, Guests: []string{bobID}, Ancestors: []*messages.Node{{Id: cemID}},
		})
		synctest.Wait()
		if expected.is(bobID) != expectedGuest || !expected.offers(cemID) || expected.offers(bobID) || expected.is(cemID) != unwelcome {
			t.Error("the server's word has no effect")
		}
		system.Root.Send(requester, poison{})
		synctest.Wait()
		if expected.is(cemID) != provisional {
			t.Error("without the server its word is still the only one")
		}
	})
}
