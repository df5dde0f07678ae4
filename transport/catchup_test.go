package transport

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"conga/messages"
)

// What listeners get at a port to which the chain does not send them.
func TestCatchUps(t *testing.T) {
	const window = 125
	type ask struct {
		who, home string
		at        time.Duration
		behind    int
		want      start
	}
	house := func(n, behind int, want start) (all []ask) {
		for i := range n {
			all = append(all, ask{string(rune('A' + i)), "10.0.0.1/32", 0, behind, want})
		}
		return all
	}
	for _, c := range []struct {
		name string
		asks []ask
	}{
		{"an orphan", []ask{{"amy", "10.0.0.1/32", 0, 30, startAsked}}},
		{"one that was away for long", []ask{{"amy", "10.0.0.1/32", 0, window, startAsked}}},
		{"two hundred of a house, for what is still to be heard", house(200, 20, startAsked)},
		{"those of a house who come after ten that were away for long", append(house(10, window, startAsked),
			ask{"amy", "10.0.0.1/32", 0, window, startInTime}, ask{"bob", "10.0.0.1/32", 0, window, startInTime}, ask{"cem", "10.0.0.2/32", 0, window, startAsked})},
		{"one that asks anew all the time", append(house(10, window, startAsked),
			ask{"amy", "10.0.0.1/32", 0, window, startInTime}, ask{"amy", "10.0.0.1/32", 1, window, startInTime},
			ask{"amy", "10.0.0.1/32", 2, window, startInTime}, ask{"amy", "10.0.0.1/32", 3, window, startNewest},
			ask{"amy", "10.0.0.1/32", time.Minute, window, startAsked})},
	} {
		t.Run(c.name, func(t *testing.T) {
			var all catchUps
			own, began := map[string]*rate.Limiter{}, time.Unix(1000, 0)
			for i, a := range c.asks {
				if own[a.who] == nil {
					own[a.who] = newCatchUp()
				}
				if got := all.begin(own[a.who], netip.MustParsePrefix(a.home), a.behind, began.Add(a.at)); got != a.want {
					t.Errorf("%d: %s, %d behind, begins %d, want %d", i, a.who, a.behind, got, a.want)
				}
			}
			if len(all.homes) > 2 {
				t.Errorf("%d homes are remembered", len(all.homes))
			}
		})
	}
}

// However many names one address uses, and however often they ask: after the first buckets are empty, it gets
// next to nothing at once.
func TestCatchUps_Bounded(t *testing.T) {
	const names, seconds, window = 20, 60, 125
	var all catchUps
	own, now, given := map[int]*rate.Limiter{}, time.Unix(1000, 0), 0
	for range seconds {
		for i := range names {
			if own[i] == nil {
				own[i] = newCatchUp()
			}
			switch all.begin(own[i], netip.MustParsePrefix("10.0.0.1/32"), window, now) {
			case startAsked:
				given += window
			case startInTime:
				given += inTimeItems
			}
		}
		now = now.Add(time.Second)
	}
	if most := catchUpHome + feedRate*seconds + names*(catchUpOwn+seconds); given > most || given < catchUpHome {
		t.Errorf("%d items, at most %d", given, most)
	}
}

// If many members of one address ask the server again and again from the beginning, each is served, but
// they get hardly more than the current music. Others get all that they ask for.
func TestStreams_CatchUps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const first, newest, seconds = 9, 128, 10
		var hers []*Identity
		members := map[string]messages.Standing{amyID: messages.StandingFedByServer, bobID: messages.StandingInChain}
		for range 20 {
			hers = append(hers, NewIdentity())
			members[hers[len(hers)-1].ID()] = messages.StandingInChain
		}
		l, expected := newPipes(), NewExpected()
		expected.Members(members, true)
		openStreams(t, l, func(c *StreamsConfig) {
			c.Expected = expected
			c.Newest = func() uint64 { return newest }
			c.Open = func(open *messages.OpenStream) (Cursor, error) {
				at := max(open.GetNext(), first)
				if open.GetPlayAtUnixUs() > 0 {
					at = newest - 19
				}
				tape := newTape()
				for ; at <= newest; at++ {
					tape.items <- testChunk(at, nil)
				}
				return tape, nil
			}
		})
		behind := func(who *Identity, from string) int {
			conn := l.dialFrom(t, from)
			defer conn.Close()
			answer, _ := asks(t, conn, who)
			if answer.GetRefused() != "" {
				t.Fatal(answer)
			}
			return newest - int(answer.GetFirst())
		}
		given := 0
		for range seconds {
			for _, who := range hers {
				given += behind(who, "10.0.0.66:1")
			}
			time.Sleep(time.Second)
		}
		if most := catchUpHome + feedRate*seconds + len(hers)*(catchUpOwn+seconds); given > most {
			t.Errorf("she got %d items at once, at most %d", given, most)
		}
		if n := behind(amy, "10.0.0.66:1"); n != newest-first {
			t.Errorf("whom the chain sends there begins %d before the newest", n)
		}
		if n := behind(bob, "10.0.0.5:1"); n != newest-first {
			t.Errorf("an orphan of another address begins %d before the newest", n)
		}
	})
}
