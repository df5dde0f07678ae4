package queue

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"conga/actors/eventlog"
	"conga/actors/internal/story"
	"conga/messages"
)

var day = time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)

// In a story, "play amy#1 WISH" is amy's first request, "play #1 WISH" a stranger's, "host#1" the host's.
// "choose 7 at 10s" chooses with the seed 7, ten seconds after a day of 2026 has begun. "cancel amy#1 WISH" and
// "skip amy#1 at 10s" are amy's, too.
func TestState_Stories(t *testing.T) {
	story.Run(t, "testdata", State{}, func(t *testing.T, words []string) proto.Message {
		name, _, _ := strings.Cut(strings.Join(words[1:], " "), "#")
		role := messages.Role_ROLE_GUEST
		if name == "host" {
			role = messages.Role_ROLE_HOST
		}
		switch words[0] {
		case "play":
			return &messages.RequestPlay{RequestId: words[1], ListenerId: name, ListenerName: name, Wish: strings.Join(words[2:], " "), Role: role}
		case "cancel":
			return &messages.CancelRequest{RequestId: words[1], ListenerId: name, ListenerName: name, Wish: strings.Join(words[2:], " "), Role: role}
		case "skip":
			after, err := time.ParseDuration(words[3])
			if err != nil {
				t.Fatal(err)
			}
			household, _, _ := strings.Cut(name, "@") // "skip ann@home#1": of the address "home"
			if _, home, is := strings.Cut(name, "@"); is {
				household = home
			}
			return &messages.SkipSong{RequestId: words[1], ListenerId: name, ListenerName: name, Household: household, Role: role, AtUnixUs: day.Add(after).UnixMicro()}
		case "choose":
			seed, err := strconv.ParseUint(words[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			choose := &messages.ChooseSong{Seed: seed}
			if len(words) == 4 {
				after, err := time.ParseDuration(words[3])
				if err != nil {
					t.Fatal(err)
				}
				choose.AtUnixUs = day.Add(after).UnixMicro()
			}
			return choose
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

// Whatever listeners ask, and whatever files, disks and the folder do: no song fills the queue. An
// acknowledged request waits or is on its way until it is heard or given up by name, and it is heard
// once. Waiting requests keep their order. No random song is repeated while there are others. A replay
// gives the same bytes, and old states do not change.
func TestState_Property_Queue(t *testing.T) {
	songs := []string{"1.mp3", "a.mp3", "b.mp3", "d/c.mp3"}
	rapid.Check(t, func(t *rapid.T) {
		var state State
		var events []proto.Message
		waiting := map[string]bool{} // acknowledged, neither heard nor given up
		var order []string           // those in the queue before the step
		var last string              // the song chosen last
		on := false                  // it plays
		at := int64(0)
		states, texts := []State{state}, []string{text(t, state)}
		apply := func(event proto.Message) {
			events = append(events, event)
			state = state.Apply(event)
			states, texts = append(states, state), append(texts, text(t, state))
		}
		opened := &messages.BroadcastOpened{Rules: &messages.QueueRules{
			Order:        messages.QueueOrder(rapid.Int32Range(0, 1).Draw(t, "order")),
			RequestsEach: rapid.Int32Range(0, 3).Draw(t, "each"), SkipVotes: rapid.Int32Range(0, 2).Draw(t, "votes"),
		}}
		apply(opened)
		for n := range rapid.IntRange(0, 80).Draw(t, "steps") {
			order = order[:0]
			for _, r := range state.Queue {
				order = append(order, r.RequestID)
			}
			song := rapid.SampledFrom(songs).Draw(t, "song")
			at += rapid.SampledFrom([]int64{1, 1, 1, 70, 3600, 90_000}).Draw(t, "seconds") * 1_000_000
			var cmd proto.Message
			switch rapid.IntRange(0, 11).Draw(t, "kind") {
			case 10:
				cmd = &messages.CancelRequest{
					RequestId: fmt.Sprint(n), Wish: rapid.SampledFrom([]string{"", "a", "1"}).Draw(t, "cancel"), ListenerId: "amy",
					Role: messages.Role(rapid.Int32Range(0, 1).Draw(t, "role")),
				}
			case 11:
				cmd = &messages.SkipSong{
					RequestId: fmt.Sprint(n), ListenerId: rapid.SampledFrom([]string{"amy", "bob"}).Draw(t, "voter"), AtUnixUs: at,
				}
			case 0, 1:
				form := rapid.SampledFrom([]messages.Song_Form{0, 0, messages.Song_FORM_OTHER, messages.Song_FORM_CONVERTED}).Draw(t, "form")
				apply(&messages.SongAdded{Song: &messages.Song{Name: song, Form: form}})
			case 2:
				apply(&messages.SongRemoved{Name: song})
			case 3, 4:
				wish := rapid.SampledFrom([]string{song, strings.TrimSuffix(song, ".mp3"), "1", "3", "nosuch"}).Draw(t, "wish")
				cmd = &messages.RequestPlay{
					RequestId: fmt.Sprint(n), Wish: wish, ListenerId: rapid.SampledFrom([]string{"", "amy"}).Draw(t, "who"),
				}
			case 5, 6:
				if !on { // the pacer asks only between two songs
					cmd = &messages.ChooseSong{Seed: rapid.Uint64().Draw(t, "seed"), AtUnixUs: at}
				}
			case 7:
				if p := state.Playing; p != nil && !p.Taken {
					on = true
					apply(&messages.SongStarted{Song: &messages.Song{Name: p.Song}})
				}
			case 8:
				if p := state.Playing; p != nil {
					how := messages.Heard(rapid.IntRange(0, 4).Draw(t, "heard"))
					if on = false; how != messages.Heard_HEARD_LITTLE && how != messages.Heard_HEARD_NOTHING && p.Asked {
						delete(waiting, p.RequestID)
					}
					apply(&messages.SongEnded{Song: p.Song, Reason: "x", Heard: how})
				}
			case 9:
				apply(rapid.SampledFrom([]proto.Message{
					&messages.SongsAway{Reason: "x"}, &messages.SongsBack{}, &messages.SongsBack{}, opened,
					&messages.SongsAway{Reason: "x", Folder: "d"}, &messages.SongsBack{Folder: "d"},
				}).Draw(t, "folder"))
			}
			if cmd != nil {
				files := state
				for _, event := range state.Decide(cmd) {
					switch event := event.(type) {
					case *messages.SongQueued:
						waiting[event.GetRequestId()] = true
					case *messages.SongCancelled:
						if !waiting[event.GetRequestId()] {
							t.Fatalf("%s is cancelled, %v wait", event.GetRequestId(), waiting)
						}
						delete(waiting, event.GetRequestId())
					case *messages.SongSkipped:
						if !waiting[event.GetRequestId()] {
							t.Fatalf("%s is given up, %v wait", event.GetRequestId(), waiting)
						}
						delete(waiting, event.GetRequestId())
					case *messages.SongChosen:
						if files.missing(event.GetSong()) != "" || files.Away != "" {
							t.Fatalf("chose %s out of %s", event.GetSong(), text(t, files))
						}
						if id := event.GetRequestId(); id != "" && !waiting[id] {
							t.Fatalf("%s is played, %v wait", id, waiting)
						}
						if event.GetRequestId() == "" && files.waits(event.GetSong()) {
							t.Fatalf("chance chose %s, which waits in %v", event.GetSong(), files.Queue)
						}
						if event.GetRequestId() == "" && event.GetSong() == last && len(files.Folders)+files.Pending.Len() == 0 && files.Songs.Len() > len(files.Queue)+1 {
							t.Fatalf("chance chose %s twice in a row", last)
						}
						last = event.GetSong()
					}
					apply(event)
				}
				if again := state.Decide(cmd); len(again) > 0 {
					t.Fatalf("%v, asked again, gives %v", cmd, again)
				}
			}
			here, seen := map[string]bool{}, map[string]int{}
			var kept []string
			for _, r := range state.Queue {
				// Twice if somebody asked for it while it played and before it broke off.
				if seen[r.Song]++; seen[r.Song] > 2 || here[r.RequestID] {
					t.Fatalf("%s again and again in %v", r.Song, state.Queue)
				}
				here[r.RequestID] = true
				if slices.Contains(order, r.RequestID) {
					kept = append(kept, r.RequestID)
				}
			}
			if p := state.Playing; p != nil && p.Asked {
				here[p.RequestID] = true
			}
			for id := range waiting {
				if !here[id] {
					t.Fatalf("request %s is lost: %s", id, text(t, state))
				}
			}
			order = slices.DeleteFunc(order, func(id string) bool { return !slices.Contains(kept, id) })
			if !slices.Equal(kept, order) {
				t.Fatalf("the queue was %v and is %v", order, kept)
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
		for _, wish := range []string{"A", "b.mp3", "2", "1"} {
			one, is := state.Find(wish)
			if other, too := back.Find(wish); one != other || is != too {
				t.Fatalf("%s is %s, through JSON %s", wish, one, other)
			}
		}
	})
}

// Of very many answers only the last ones are remembered, the same ones live and from JSON.
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

// The queue is bounded: requests beyond its end are refused.
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

// A stranger's refused request is answered and leaves no event, or strangers could fill the log.
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
			if again, is := state.Reply(cmd).Said.(*messages.SongQueued); !is || again.GetSong() != "bach.mp3" || len(events) != 1 {
				t.Errorf("%s: %v, asked again %v", c.wish, events, again)
			}
			continue
		}
		refused, is := state.Reply(cmd).Said.(*messages.PlayRefused)
		if len(events) > 0 || !is || refused.GetReason() != c.reason || refused.GetWish() != c.wish {
			t.Errorf("%s: events %v, reply %v", c.wish, events, refused)
		}
	}
}

// Before the first song is heard there is nothing to skip. Between two songs the one that is heard has been sent whole.
func TestState_SkipBeforeMusic(t *testing.T) {
	s := eventlog.Replay(State{},
		&messages.BroadcastOpened{Epoch: 1, Rules: &messages.QueueRules{SkipVotes: 1}},
		&messages.SongStarted{Song: &messages.Song{Name: "a.mp3", DurationUs: 60_000_000}, Number: 1, PlayAtUnixUs: 2_000_000})
	for at, want := range map[int64]messages.SkipResult{
		1_000_000: messages.SkipNothing, 61_000_000: messages.SkipOver, 63_000_000: messages.SkipNothing,
	} {
		s := s
		if at > 2_000_000 {
			s = s.Apply(&messages.SongEnded{Song: "a.mp3", Next: 2, NextPlayAtUnixUs: 62_000_000})
			s = s.Apply(&messages.SongStarted{Song: &messages.Song{Name: "b.mp3", DurationUs: 60_000_000}, Number: 2, PlayAtUnixUs: 64_000_000})
		}
		if got := s.Skipped(&messages.SkipSong{RequestId: "amy#1", ListenerId: "amy", AtUnixUs: at}).Result; got != want {
			t.Errorf("at %d s: %v, want %v", at/1_000_000, got, want)
		}
	}
}
