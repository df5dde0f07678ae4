package search

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"conga/actors/eventlog"
	"conga/actors/internal/story"
	"conga/messages"
)

// TestState_Stories: the words are
//
//	told 7 cem amy server    the server's event 7 names the ancestors, nearest first; 4/7: in epoch 4
//	opened 2 [100 [104 [120 [4000]]]] link 2 answered; 100 was asked for, 104 is its first number,
//	                         120 its newest, and for 4000 ms no music came
//	closed 2 [own|hole|empty|lying|leaving] link 2 is over
//	patience 2               the timer that was set when 2 was the last link
//	climb, starving, late, urgent   time to ask others while an upstream feeds
//
// and @5000 behind any of them is the time in milliseconds. A node's relay port is its
// name; cem~ cannot be reached, cem- has none, cem+ has another one than before.
func TestState_Stories(t *testing.T) {
	story.Run(t, "testdata", State{}, words)
}

func words(t *testing.T, words []string) proto.Message {
	at := int64(0)
	if last := words[len(words)-1]; last[0] == '@' {
		at, words = number(t, last[1:])*1000, words[:len(words)-1]
	}
	num := func(i int) uint64 {
		if i >= len(words) {
			return 0
		}
		return uint64(number(t, words[i]))
	}
	switch words[0] {
	case "told":
		n := &messages.Neighbours{Id: "me"}
		if epoch, event, is := strings.Cut(words[1], "/"); is {
			n.Epoch, n.Event = uint64(number(t, epoch)), uint64(number(t, event))
		} else {
			n.Event = num(1)
		}
		for _, name := range words[2:] {
			n.Ancestors = append(n.Ancestors, ancestor(name))
		}
		return n
	case "opened":
		return &messages.LinkOpened{
			Link: num(1), Asked: num(2), First: num(3), Newest: num(4), StarvedUs: int64(num(5)) * 1000, AtUnixUs: at,
		}
	case "closed":
		return &messages.LinkClosed{
			Link: num(1), Reason: "gone", AtUnixUs: at, Ending: endingIn(words), Fault: faultIn(words),
		}
	case "patience":
		return &messages.SearchOn{Link: num(1), AtUnixUs: at}
	case "climb":
		return &messages.SearchOn{AtUnixUs: at, Why: messages.SearchOn_WHY_NEARER}
	case "starving":
		return &messages.SearchOn{AtUnixUs: at, Why: messages.SearchOn_WHY_STARVING}
	case "late":
		return &messages.SearchOn{AtUnixUs: at, Why: messages.SearchOn_WHY_LATE}
	case "urgent":
		return &messages.SearchOn{AtUnixUs: at, Why: messages.SearchOn_WHY_URGENT}
	}
	return nil
}

// endingIn is the ending that one of the words names.
func endingIn(words []string) messages.Ending {
	for ending, word := range []string{"", "leaving", "hole", "empty", "own"} {
		if word != "" && slices.Contains(words, word) {
			return messages.Ending(ending)
		}
	}
	return messages.Ending_ENDING_FAULT
}

func number(t *testing.T, word string) int64 {
	n, err := strconv.ParseInt(word, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// ancestor is the node of that name; see TestState_Stories for what follows it.
func ancestor(word string) *messages.Node {
	name := strings.TrimRight(word, "+-~")
	n := &messages.Node{Id: name, Name: name, Relay: name + ":1"}
	switch {
	case name == messages.ServerID, strings.HasSuffix(word, "-"):
		n.Relay = ""
	case strings.HasSuffix(word, "+"):
		n.Relay = name + ":2"
	case strings.HasSuffix(word, "~"):
		n.Dials = true
	}
	return n
}

// fedBy is the link that feeds, or 0.
func (s State) fedBy() uint64 {
	if s.Upstream == nil {
		return 0
	}
	return s.Upstream.Number
}

// commands are any commands in any order, with links and timers that exist more often than not.
func commands(t *rapid.T, s State, at int64) proto.Message {
	link := rapid.OneOf(
		rapid.Just(s.Links),
		rapid.Uint64Range(0, s.Links+1),
		rapid.Just(cmp.Or(s.fedBy(), s.Links)),
	).Draw(t, "link")
	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	case 0, 1:
		n := &messages.Neighbours{Id: "me", Event: s.Event + uint64(rapid.IntRange(-1, 2).Draw(t, "event"))}
		if s.Event == 0 {
			n.Event = 1
		}
		names := []string{"a", "b", "c", "d", "e", "a+", "b~", "c-", "me", messages.ServerID}
		for _, name := range rapid.SliceOfN(rapid.SampledFrom(names), 0, 6).Draw(t, "ancestors") {
			n.Ancestors = append(n.Ancestors, ancestor(name))
		}
		return n
	case 2, 3, 4:
		return &messages.LinkOpened{
			Link: link, Asked: rapid.Uint64Range(0, 3).Draw(t, "asked"),
			First: rapid.Uint64Range(0, 90).Draw(t, "first"), Newest: rapid.Uint64Range(0, 90).Draw(t, "newest"),
			StarvedUs: rapid.Int64Range(0, 5_000_000).Draw(t, "starved"), AtUnixUs: at,
		}
	case 5, 6:
		return &messages.LinkClosed{
			Link: link, AtUnixUs: at, Ending: messages.Ending(rapid.Int32Range(0, 4).Draw(t, "ending")),
			Fault: messages.Fault(rapid.Int32Range(0, 6).Draw(t, "fault")),
		}
	case 7:
		return &messages.UpstreamOffered{Node: ancestor(rapid.SampledFrom([]string{"b~", "a", "x~"}).Draw(t, "offer")), AtUnixUs: at}
	default:
		return &messages.SearchOn{Link: link, AtUnixUs: at, Why: messages.SearchOn_Why(rapid.Int32Range(0, 4).Draw(t, "why"))}
	}
}

// Whatever comes, from whomever and however late: there is at most one upstream, no link number is used
// twice, and a node that nobody feeds always has a running search.
func TestState_NeverStuck(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s State
		var at int64
		var all []proto.Message
		sought := map[uint64]bool{}
		timer := false // the relay has set one for a search
		for range rapid.IntRange(1, 80).Draw(t, "length") {
			at += rapid.SampledFrom([]int64{0, 1000, 80_000, 1_000_000, 3_000_000}).Draw(t, "passes")
			cmd := commands(t, s, at)
			if on, ok := cmd.(*messages.SearchOn); ok && on.GetLink() == s.Links {
				timer = false
			}
			before := text(t, s)
			events := s.Decide(cmd)
			if text(t, s) != before {
				t.Fatalf("%v changed the state", cmd)
			}
			for _, event := range events {
				switch event := event.(type) {
				case *messages.UpstreamSought:
					if sought[event.GetLink()] || event.GetLink() == 0 {
						t.Fatalf("link %d twice", event.GetLink())
					}
					sought[event.GetLink()], timer = true, true
				case *messages.SearchExhausted:
					timer = true
				}
				s = s.Apply(event)
			}
			all = append(all, events...)
			check(t, s, sought)
			if s.Event > 0 && s.Upstream == nil && len(s.Seeking) == 0 && !timer {
				t.Fatalf("after %v nobody feeds and nothing is under way: %s", cmd, text(t, s))
			}
		}
		if again := eventlog.Replay(State{}, all...); text(t, again) != text(t, s) {
			t.Fatalf("replayed %s\nlive     %s", text(t, again), text(t, s))
		}
		var back State
		if err := json.Unmarshal([]byte(text(t, s)), &back); err != nil || text(t, back) != text(t, s) {
			t.Fatalf("%s does not survive JSON (%v): %s", text(t, s), err, text(t, back))
		}
	})
}

func check(t *rapid.T, s State, sought map[uint64]bool) {
	numbers := map[uint64]bool{}
	links := slices.Clone(s.Seeking)
	if s.Upstream != nil {
		links = append(links, *s.Upstream)
	}
	for _, l := range links {
		if numbers[l.Number] || l.Number > s.Links || !sought[l.Number] {
			t.Fatalf("link %d: %s", l.Number, text(t, s))
		}
		numbers[l.Number] = true
	}
	for what, n := range map[string][2]int{
		"ancestors": {len(s.Ancestors), messages.Ancestors}, "tried": {len(s.Tried), 16}, "dead": {len(s.Dead), 16},
		"liars": {len(s.Liars), maxLiars}, "seeking": {len(s.Seeking), 32},
	} {
		if n[0] > n[1] {
			t.Fatalf("%d %s: %s", n[0], what, text(t, s))
		}
	}
}

func text(t interface{ Fatal(...any) }, s State) string {
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// If a server keeps listing a dead node, accepts and hangs up, or is away for minutes, the log
// of a listener grows only by a few events a second.
func TestState_WritesLittle(t *testing.T) {
	const second = int64(1_000_000)
	for name, answer := range map[string]func(link uint64, at int64) []proto.Message{
		"nobody answers": func(link uint64, at int64) []proto.Message {
			return []proto.Message{&messages.LinkClosed{Link: link, AtUnixUs: at}}
		},
		"all take in and hang up": func(link uint64, at int64) []proto.Message {
			return []proto.Message{&messages.LinkOpened{Link: link, AtUnixUs: at}, &messages.LinkClosed{Link: link, AtUnixUs: at + 1}}
		},
		"all lie": func(link uint64, at int64) []proto.Message {
			return []proto.Message{&messages.LinkOpened{Link: link, AtUnixUs: at}, &messages.LinkClosed{Link: link, Fault: messages.Fault_FAULT_LYING, AtUnixUs: at + 1}}
		},
		"all have a hole": func(link uint64, at int64) []proto.Message {
			return []proto.Message{&messages.LinkOpened{Link: link, AtUnixUs: at}, &messages.LinkClosed{Link: link, Ending: messages.Ending_ENDING_HOLE, AtUnixUs: at + 1}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			var s State
			now, written, first := second, 0, 0
			do := func(cmd proto.Message) (follows []proto.Message) {
				for _, event := range s.Decide(cmd) {
					s = s.Apply(event)
					written++
					if next, ok := event.(*messages.UpstreamSought); ok {
						follows = append(follows, answer(next.GetLink(), now)...)
					}
				}
				return follows
			}
			queue := do(&messages.Neighbours{Id: "me", Event: 1, Ancestors: []*messages.Node{ancestor("a"), ancestor("b"), ancestor("c")}})
			for now < 120*second {
				if len(queue) > 0 {
					queue = append(queue[1:], do(queue[0])...)
					continue
				}
				if s.Searches == 0 {
					t.Fatalf("nobody feeds and nobody searches: %s", text(t, s))
				}
				now += max(RetryAfter(s.Searches).Microseconds(), 1)
				if now > 10*second && first == 0 {
					first = written
				}
				queue = do(&messages.SearchOn{Link: s.Links, AtUnixUs: now})
			}
			if rate := float64(written-first) / 110; first > 600 || rate > 12 {
				t.Errorf("%d events in 9 s, then %.1f a second", first, rate)
			}
		})
	}
}

func ExampleState_Decide() {
	s := State{}
	for _, event := range s.Decide(&messages.Neighbours{Id: "me", Event: 1}) {
		fmt.Println(story.Line(event))
	}
	// Output:
	// UpstreamsAssigned event=1
	// UpstreamSought link=1 node={id=server name=server}
}

// faultIn is what a story says of a closed link.
func faultIn(words []string) messages.Fault {
	switch {
	case slices.Contains(words, "lying"):
		return messages.Fault_FAULT_LYING
	case endingIn(words) != messages.Ending_ENDING_FAULT:
		return messages.Fault_FAULT_UNSPECIFIED
	}
	return messages.Fault_FAULT_GONE
}
