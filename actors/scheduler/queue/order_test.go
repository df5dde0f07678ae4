package queue

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"conga/actors/eventlog"
	"conga/messages"
)

// crowd stands for people who ask, cancel and vote, and for the pacer, which plays what was chosen.
type crowd struct {
	t      *rapid.T
	state  State
	events []proto.Message
	at     int64
	n      int
}

func (c *crowd) do(cmd proto.Message) []proto.Message {
	events := c.state.Decide(cmd)
	c.apply(events...)
	return events
}

func (c *crowd) apply(events ...proto.Message) {
	c.events = append(c.events, events...)
	c.state = eventlog.Replay(c.state, events...)
}

func (c *crowd) id() string { c.n++; return fmt.Sprint("r", c.n) }

// play ends the song that is on, and has the next one chosen and begun.
func (c *crowd) play() *messages.SongChosen {
	if c.state.On != nil {
		c.apply(&messages.SongEnded{Song: c.state.On.Song, NextPlayAtUnixUs: c.at})
	}
	for _, event := range c.do(&messages.ChooseSong{Seed: 1, AtUnixUs: c.at}) {
		if chosen, is := event.(*messages.SongChosen); is {
			c.apply(&messages.SongStarted{Song: &messages.Song{Name: chosen.GetSong(), DurationUs: 1e6}, PlayAtUnixUs: c.at})
			return chosen
		}
	}
	return nil
}

func (c *crowd) ask(person, household string) []proto.Message {
	song := rapid.IntRange(0, 29).Draw(c.t, "song")
	return c.do(&messages.RequestPlay{RequestId: c.id(), Person: person, Household: household, Wish: fmt.Sprintf("%02d.mp3", song), AtUnixUs: c.at})
}

func (c *crowd) open(order messages.QueueOrder, each, votes int32) {
	c.apply(&messages.BroadcastOpened{Rules: &messages.QueueRules{Order: order, RequestsEach: each, SkipVotes: votes}})
}

func newCrowd(t *rapid.T) *crowd {
	c := &crowd{t: t}
	for n := range 30 {
		c.apply(&messages.SongAdded{Song: &messages.Song{Name: fmt.Sprintf("%02d.mp3", n), DurationUs: 1e6}})
	}
	return c
}

// In a fair queue, a person with n requests (waiting, or played in this round) hears the last of them after at most n of
// anybody else, however the others ask and cancel.
func TestState_Property_Fair(t *testing.T) {
	people := []string{"amy", "bob", "cem", "dan"}
	rapid.Check(t, func(t *rapid.T) {
		c := newCrowd(t)
		c.open(messages.QueueOrder_QUEUE_ORDER_FAIR, 0, 0)
		type promise struct {
			person string
			most   int
			played map[string]int // since then
		}
		waiting := map[string]*promise{}
		for range rapid.IntRange(0, 150).Draw(t, "steps") {
			person := rapid.SampledFrom(people).Draw(t, "person")
			switch rapid.IntRange(0, 5).Draw(t, "kind") {
			case 0, 1, 2:
				for _, event := range c.ask(person, "") {
					queued := event.(*messages.SongQueued)
					own := 0
					for _, r := range c.state.Queue {
						if r.Person == person {
							own++
						}
					}
					if slices.Contains(c.state.Served, person) {
						own++
					}
					waiting[queued.GetRequestId()] = &promise{person, own, map[string]int{}}
				}
			case 3, 4:
				chosen := c.play()
				p := waiting[chosen.GetRequestId()]
				if p == nil {
					continue // a random song
				}
				delete(waiting, chosen.GetRequestId())
				for id, other := range waiting {
					if other.played[p.person]++; p.person != other.person && other.played[p.person] > other.most {
						t.Fatalf("%s of %s, who had %d waiting, waits for %d of %s", id, other.person, other.most, other.played[p.person], p.person)
					}
				}
			case 5:
				for _, event := range c.do(&messages.CancelRequest{RequestId: c.id(), Person: person}) {
					delete(waiting, event.(*messages.SongCancelled).GetRequestId())
				}
			}
		}
		if got, live := text(t, eventlog.Replay(State{}, c.events...)), text(t, c.state); got != live {
			t.Fatalf("replayed %s, live %s", got, live)
		}
	})
}

// First come, first served goes by arrival, also if the queue was a fair one meanwhile. A change of the order loses no
// request. With limits, no person and no address has more requests waiting than it may.
func TestState_Property_Orders(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCrowd(t)
		var each int32
		for range rapid.IntRange(0, 120).Draw(t, "steps") {
			switch rapid.IntRange(0, 6).Draw(t, "kind") {
			case 0:
				each = rapid.Int32Range(0, 3).Draw(t, "each")
				before := len(c.state.Queue)
				c.open(messages.QueueOrder(rapid.Int32Range(0, 1).Draw(t, "order")), each, 0)
				if len(c.state.Queue) != before {
					t.Fatalf("%d waited, and %d do", before, len(c.state.Queue))
				}
			case 1, 2, 3, 4:
				n := rapid.IntRange(0, 20).Draw(t, "person")
				queued := c.ask(fmt.Sprint("p", n), fmt.Sprint("h", n%2))
				own, together := 0, 0
				for _, r := range c.state.Queue {
					if r.Person == fmt.Sprint("p", n) {
						own++
					}
					if r.Household == fmt.Sprint("h", n%2) {
						together++
					}
				}
				if each > 0 && len(queued) > 0 && (own > int(each) || together > householdShare*int(each)) {
					t.Fatalf("%d of one person, %d of one address wait, where each may have %d", own, together, each)
				}
			case 5:
				c.play()
			case 6:
				c.do(&messages.CancelRequest{RequestId: c.id(), Person: fmt.Sprint("p", rapid.IntRange(0, 20).Draw(t, "person"))})
			}
			if c.state.Rules.Order != Fair && !slices.IsSortedFunc(c.state.Queue, func(a, b Request) int { return cmp.Compare(a.Arrival, b.Arrival) }) {
				t.Fatalf("first come, first served: %v", c.state.Queue)
			}
		}
		if got, live := text(t, eventlog.Replay(State{}, c.events...)), text(t, c.state); got != live {
			t.Fatalf("replayed %s, live %s", got, live)
		}
	})
}

// If more than one vote is needed, nobody skips a song alone, however many names they use at one address. A person
// counts once, and votes against one song do not count against the next.
func TestState_Property_Votes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCrowd(t)
		needed := rapid.IntRange(1, 6).Draw(t, "needed")
		c.open(messages.QueueOrder_QUEUE_ORDER_FIFO, 0, int32(needed))
		people, homes := map[string]bool{}, map[string]bool{}
		for range rapid.IntRange(0, 100).Draw(t, "steps") {
			c.at += 1e5
			if rapid.IntRange(0, 9).Draw(t, "next") == 0 {
				c.play()
				clear(people)
				clear(homes)
				continue
			}
			n := rapid.IntRange(0, 15).Draw(t, "person")
			person, home := fmt.Sprint("p", n), fmt.Sprint("h", n%3)
			on := c.state.On
			for _, event := range c.do(&messages.SkipSong{RequestId: c.id(), Person: person, Household: home, AtUnixUs: c.at}) {
				switch event := event.(type) {
				case *messages.SkipVoted:
					if people[person] {
						t.Fatalf("%s has voted twice", person)
					}
					people[person], homes[home] = true, true
				case *messages.SkipDecided:
					if on.Skipped || event.GetNumber() != on.Number || len(people) < needed || needed > 1 && len(homes) < 2 {
						t.Fatalf("%v was ended by %v of %v, %d are needed", on, people, homes, needed)
					}
				}
			}
			if c.state.On != nil && !c.state.On.Skipped && len(people) >= needed {
				t.Fatalf("%v of %v have voted, %d are needed, and it plays on", people, homes, needed)
			}
		}
	})
}
