package transport

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"conga/messages"
)

// Whoever comes, from wherever and in any order: of those that come in need, and have music elsewhere, no more are let in than
// may be. Whom nobody feeds, and whom the chain sends here, is always let in, and loses the seat to nobody.
func TestSeats_Property_InNeed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const most = 3
		var s seats
		here := map[string]bool{} // whom the chain sends here
		sent := func(id string) bool { return here[id] }
		id := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g", "h"})
		inNeed := func(fed bool) (n int) {
			for id, seat := range s.taken {
				if !here[id] && (seat.fed || !fed) {
					n++
				}
			}
			return n
		}
		t.Repeat(map[string]func(*rapid.T){
			"move": func(t *rapid.T) {
				id := id.Draw(t, "id")
				here[id] = !here[id]
			},
			"come": func(t *rapid.T) {
				newcomer := &seat{
					id: id.Draw(t, "id"), fed: rapid.Bool().Draw(t, "fed"), expected: true,
					from: netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(rapid.IntRange(1, 3).Draw(t, "address"))}), 32),
				}
				if !newcomer.fed || here[newcomer.id] {
					s.take(newcomer)
					return
				}
				had := s.taken[newcomer.id] != nil && !here[newcomer.id]
				before, homes := inNeed(false), map[netip.Prefix]int{}
				for id, seat := range s.taken {
					if !here[id] && id != newcomer.id {
						homes[seat.from]++
					}
				}
				out, room := s.room(newcomer, most, sent)
				switch {
				case !room && before < most:
					t.Fatalf("%d have come, and there is no room", before)
				case room && before >= most && !had && out == nil:
					t.Fatalf("%d have come, and one more", before)
				case out == nil:
				case here[out.id] || !out.fed:
					t.Fatalf("%s has to go", out.id)
				case homes[out.from] < homes[newcomer.from]+2:
					t.Fatalf("one of %d goes for one of %d", homes[out.from], homes[newcomer.from]+1)
				default:
					s.leave(out)
				}
				if room {
					s.take(newcomer)
				}
			},
			"leave": func(t *rapid.T) {
				if seat := s.taken[id.Draw(t, "id")]; seat != nil {
					s.leave(seat)
				}
			},
		})
	})
}

// A line whose music is late turns to the server, all at once: it takes in a few, and tells the others to stay. Orphans, and those
// that the chain sends to it, find it open. When somebody goes, another may come.
func TestStreams_InNeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		crowd := make([]*Identity, leastInNeed+4)
		members := map[string]messages.Standing{amyID: messages.StandingFedByServer, bobID: messages.StandingInChain}
		for i := range crowd {
			crowd[i] = NewIdentity()
			members[crowd[i].ID()] = messages.StandingInChain
		}
		l, expected := newPipes(), NewExpected()
		expected.Members(members, true)
		openStreams(t, l, func(c *StreamsConfig) { c.Expected = expected })
		ask := func(who *Identity, fed bool, from string) (net.Conn, string) {
			conn := l.dialFrom(t, from)
			send(t, conn, saidBy(t, who, &messages.OpenStream{Fed: fed}))
			answer := unmarshal(t, readFrame(t, bufio.NewReader(conn), messages.KindHi).Payload, &messages.StreamOpened{})
			if answer.GetRefused() != "" && answer.GetRefusal() != messages.StreamOpened_REFUSAL_FULL {
				t.Error(answer)
			}
			return conn, answer.GetRefused()
		}
		var conns []net.Conn
		for i, who := range crowd {
			conn, refused := ask(who, true, fmt.Sprintf("198.51.100.%d:1", i))
			if full := i >= leastInNeed; full != (refused == errStay.Error()) {
				t.Errorf("%d is told %q", i, refused)
			}
			conns = append(conns, conn)
		}
		if _, refused := ask(amy, true, "198.51.100.200:1"); refused != "" {
			t.Error("whom the chain sends there is told", refused)
		}
		if _, refused := ask(bob, false, "198.51.100.201:1"); refused != "" {
			t.Error("whom nobody feeds is told", refused)
		}
		for _, conn := range conns[:2] { // bob's is one more than there may be
			_ = conn.Close()
		}
		synctest.Wait()
		if _, refused := ask(crowd[leastInNeed], true, "198.51.100.202:1"); refused != "" {
			t.Error("after one has gone, another is told", refused)
		}
	})
}

// One address that has taken all the places for listeners in need gives some of them back to others.
func TestStreams_InNeedOfOneAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		members := map[string]messages.Standing{amyID: messages.StandingInChain}
		hers := make([]*Identity, leastInNeed)
		for i := range hers {
			hers[i] = NewIdentity()
			members[hers[i].ID()] = messages.StandingInChain
		}
		l, expected := newPipes(), NewExpected()
		expected.Members(members, true)
		openStreams(t, l, func(c *StreamsConfig) { c.Expected = expected })
		var last net.Conn
		for _, who := range append(hers, amy) {
			from := "198.51.100.66:1"
			if who == amy {
				from = "198.51.100.1:1"
			}
			conn := l.dialFrom(t, from)
			send(t, conn, saidBy(t, who, &messages.OpenStream{Fed: true}))
			if answer := unmarshal(t, readFrame(t, bufio.NewReader(conn), messages.KindHi).Payload, &messages.StreamOpened{}); answer.GetRefused() != "" {
				t.Fatal(answer)
			}
			if who != amy {
				last = conn
			}
		}
		ends(t, last)
	})
}
