package scheduler

import (
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

// TestState_Stories: "play amy#1 WISH" is amy's first request, "play #1 WISH" a stranger's,
// "choose 7" a choice with the seed 7.
func TestState_Stories(t *testing.T) {
	story.Run(t, "testdata", State{}, func(t *testing.T, words []string) proto.Message {
		switch words[0] {
		case "play":
			name, _, _ := strings.Cut(words[1], "#")
			return &messages.RequestPlay{RequestId: words[1], ListenerId: name, ListenerName: name, Wish: strings.Join(words[2:], " ")}
		case "choose":
			seed, err := strconv.ParseUint(words[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return &messages.ChooseSong{Seed: seed}
		}
		return nil
	})
}

func text(t interface{ Fatal(...any) }, s State) string {
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func add(name string) proto.Message { return &messages.SongAdded{Song: &messages.Song{Name: name}} }

// Whatever listeners ask and files do: no song stands in the queue twice, an
// acknowledged request is chosen or skipped exactly once and in its turn, chance
// repeats no song while there are others, a replay gives the same bytes, and old states
// stay what they were.
func TestState_Property_Queue(t *testing.T) {
	songs := []string{"1.mp3", "a.mp3", "b.mp3", "c.mp3"}
	rapid.Check(t, func(t *rapid.T) {
		var state State
		var events []proto.Message
		var waiting []string // ids in the order of their acknowledgement
		var last string      // the song chosen last
		states, texts := []State{state}, []string{text(t, state)}
		apply := func(event proto.Message) {
			events = append(events, event)
			state = state.Apply(event)
			states, texts = append(states, state), append(texts, text(t, state))
		}
		served := func(id string) {
			if id == "" {
				return
			}
			if len(waiting) == 0 || waiting[0] != id {
				t.Fatalf("%s was served, %v wait", id, waiting)
			}
			waiting = waiting[1:]
		}
		for n := range rapid.IntRange(0, 60).Draw(t, "steps") {
			song := rapid.SampledFrom(songs).Draw(t, "song")
			var cmd proto.Message
			switch rapid.IntRange(0, 6).Draw(t, "kind") {
			case 0:
				apply(add(song))
			case 1:
				apply(&messages.SongRemoved{Name: song})
			case 2, 3:
				wish := rapid.SampledFrom([]string{song, strings.TrimSuffix(song, ".mp3"), "1", "3", "nosuch"}).Draw(t, "wish")
				cmd = &messages.RequestPlay{
					RequestId: fmt.Sprint(rapid.IntRange(0, n).Draw(t, "id")), Wish: wish,
					ListenerId: rapid.SampledFrom([]string{"", "amy"}).Draw(t, "who"),
				}
			case 4:
				cmd = &messages.ChooseSong{Seed: rapid.Uint64().Draw(t, "seed")}
			case 5:
				if p := state.Playing; p != nil {
					apply(&messages.SongStarted{Song: &messages.Song{Name: p.Song}})
				}
			case 6:
				if p := state.Playing; p != nil {
					apply(&messages.SongEnded{Song: p.Song})
				}
			}
			if cmd == nil {
				continue
			}
			files := slices.Clone(state.Songs)
			for _, event := range state.Decide(cmd) {
				switch event := event.(type) {
				case *messages.SongQueued:
					waiting = append(waiting, event.GetRequestId())
				case *messages.SongSkipped:
					served(event.GetRequestId())
				case *messages.SongChosen:
					served(event.GetRequestId())
					if !slices.Contains(files, event.GetSong()) {
						t.Fatalf("chose %s out of %v", event.GetSong(), files)
					}
					if event.GetRequestId() == "" && event.GetSong() == last && len(files) > 1 {
						t.Fatalf("chance chose %s twice in a row", last)
					}
					last = event.GetSong()
				}
				apply(event)
			}
			if again := state.Decide(cmd); len(again) > 0 {
				t.Fatalf("%v, asked again, gives %v", cmd, again)
			}
			seen := map[string]bool{}
			for i, r := range state.Queue {
				if seen[r.Song] {
					t.Fatalf("%s twice in %v", r.Song, state.Queue)
				}
				if seen[r.Song] = true; r.RequestID != waiting[i] {
					t.Fatalf("queue %v, want %v", state.Queue, waiting)
				}
			}
			if len(state.Queue) != len(waiting) {
				t.Fatalf("queue %v, want %v", state.Queue, waiting)
			}
		}
		for i, s := range states {
			if got := text(t, s); got != texts[i] {
				t.Fatalf("the state at event %d became %s, it was %s", i, got, texts[i])
			}
		}
		if got := text(t, eventlog.Replay(State{}, events...)); got != texts[len(texts)-1] {
			t.Fatalf("replayed %s, live %s", got, texts[len(texts)-1])
		}
		var back State
		if err := json.Unmarshal([]byte(texts[len(texts)-1]), &back); err != nil {
			t.Fatal(err)
		}
		if got := text(t, back); got != texts[len(texts)-1] {
			t.Fatalf("through JSON %s, live %s", got, texts[len(texts)-1])
		}
	})
}

// Of very many answers the last ones are remembered, the same ones live and from JSON.
func TestState_Answered_Bounded(t *testing.T) {
	var state State
	refuse := func(n int) {
		state = state.Apply(&messages.PlayRefused{RequestId: strconv.Itoa(n), Reason: messages.PlayRefused_REASON_NO_SUCH_SONG})
	}
	const many = 5*maxAnswered + 7
	for n := range many {
		refuse(n)
		if state.Answered.n > 2*maxAnswered {
			t.Fatalf("%d answers are remembered", state.Answered.n)
		}
	}
	for n := many - maxAnswered; n < many; n++ {
		if _, known := state.Answer(strconv.Itoa(n)); !known {
			t.Fatalf("answer %d of %d is forgotten", n, many)
		}
	}
	var back State
	if err := json.Unmarshal([]byte(text(t, state)), &back); err != nil {
		t.Fatal(err)
	}
	for n := range 2 * maxAnswered {
		again := &messages.PlayRefused{RequestId: "again" + strconv.Itoa(n)}
		state, back = state.Apply(again), back.Apply(again)
		if n%100 == 0 && text(t, state) != text(t, back) {
			t.Fatalf("after %d more answers the two differ", n+1)
		}
	}
}

// The queue has an end: what is beyond it is refused.
func TestState_QueueFull(t *testing.T) {
	var state State
	for n := range maxQueue + 1 {
		state = state.Apply(add(fmt.Sprintf("%04d.mp3", n)))
	}
	for n := range maxQueue + 1 {
		events := state.Decide(&messages.RequestPlay{RequestId: fmt.Sprint(n), ListenerId: "amy", Wish: fmt.Sprintf("%04d.mp3", n)})
		state = eventlog.Replay(state, events...)
		refused, is := events[0].(*messages.PlayRefused)
		if is != (n == maxQueue) || is && refused.GetReason() != messages.PlayRefused_REASON_QUEUE_FULL {
			t.Fatalf("request %d: %v", n, events)
		}
	}
}

// What a stranger asks in vain is answered and leaves no event: there is no end to it.
func TestState_Reply_Stranger(t *testing.T) {
	state := State{}.Apply(add("bach.mp3"))
	for _, c := range []struct {
		wish   string
		reason messages.PlayRefused_Reason // 0: queued
	}{
		{"nosuch", messages.PlayRefused_REASON_NO_SUCH_SONG},
		{"bach", 0},
		{"bach", messages.PlayRefused_REASON_ALREADY_REQUESTED},
	} {
		cmd := &messages.RequestPlay{RequestId: "1" + c.wish, Wish: c.wish}
		if c.reason > 0 {
			cmd.RequestId = "2" + c.wish
		}
		events := state.Decide(cmd)
		if c.reason == 0 {
			state = eventlog.Replay(state, events...)
			if again, is := state.Reply(cmd).(*messages.SongQueued); !is || again.GetSong() != "bach.mp3" || len(events) != 1 {
				t.Errorf("%s: %v, asked again %v", c.wish, events, again)
			}
			continue
		}
		refused, is := state.Reply(cmd).(*messages.PlayRefused)
		if len(events) > 0 || !is || refused.GetReason() != c.reason || refused.GetWish() != c.wish {
			t.Errorf("%s: events %v, reply %v", c.wish, events, refused)
		}
	}
}
