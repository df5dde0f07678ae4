package scheduler

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"conga/messages"

	"google.golang.org/protobuf/proto"
)

// maxQueue bounds what listeners can make the server remember: about two days of
// three-minute songs.
const maxQueue = 1000

// State is what plays and what will: songs that exist, the queue, the requests
// already answered. It is immutable.
type State struct {
	// Playing is the song chosen last.
	Playing *Chosen `json:"playing"`
	// Queue is first come first served, next first.
	Queue []Request `json:"queue"`
	// Songs are the file names of the catalog, sorted: PLAY's numbers count them from 1.
	Songs []string `json:"songs"`
	// Answered are the last requests and what they got.
	Answered Answered `json:"answered"`
}

// Chosen is a song on its way to the pacer or playing.
type Chosen struct {
	Song      string `json:"song"`
	RequestID string `json:"requestId,omitempty"` // empty: chance chose
	Listener  string `json:"listener,omitempty"`  // name of who asked
	// Taken means that the pacer has started it, or could not: until then the same
	// song is chosen again, so that a crash between the two loses no request.
	Taken bool `json:"taken"`
}

// Request is a song that a listener waits for.
type Request struct {
	Song      string `json:"song"`
	RequestID string `json:"requestId"`
	Listener  string `json:"listener,omitempty"`
}

// Decide says what follows from cmd. A request that was answered before yields no
// events; Answered has its answer.
func (s State) Decide(cmd proto.Message) []proto.Message {
	switch cmd := cmd.(type) {
	case *messages.RequestPlay:
		return s.request(cmd)
	case *messages.ChooseSong:
		return s.choose(cmd)
	}
	return nil
}

// request queues the song or refuses it. A refusal is an event for members of the chain only:
// what strangers ask in vain is nobody's history, and they could ask without end.
func (s State) request(cmd *messages.RequestPlay) []proto.Message {
	if _, again := s.Answer(cmd.GetRequestId()); again {
		return nil
	}
	song, reason := s.grant(cmd.GetWish())
	switch {
	case song != "":
		return []proto.Message{&messages.SongQueued{
			RequestId:    cmd.GetRequestId(),
			ListenerId:   cmd.GetListenerId(),
			ListenerName: cmd.GetListenerName(),
			Song:         song,
		}}
	case cmd.GetListenerId() == "":
		return nil
	}
	return []proto.Message{refusal(cmd, reason)}
}

// grant is the song that the wish may have, or why it gets none.
func (s State) grant(wish string) (song string, reason messages.PlayRefused_Reason) {
	song, exists := s.find(wish)
	switch {
	case !exists:
		return "", messages.PlayRefused_REASON_NO_SUCH_SONG
	case slices.ContainsFunc(s.Queue, func(r Request) bool { return r.Song == song }):
		return "", messages.PlayRefused_REASON_ALREADY_REQUESTED
	case len(s.Queue) >= maxQueue:
		return "", messages.PlayRefused_REASON_QUEUE_FULL
	}
	return song, 0
}

func refusal(cmd *messages.RequestPlay, reason messages.PlayRefused_Reason) *messages.PlayRefused {
	return &messages.PlayRefused{
		RequestId:    cmd.GetRequestId(),
		ListenerId:   cmd.GetListenerId(),
		ListenerName: cmd.GetListenerName(),
		Wish:         cmd.GetWish(),
		Reason:       reason,
	}
}

// Reply is what to tell about a request from which no event followed: what it got when it was
// asked before, or why a stranger's is refused.
func (s State) Reply(cmd *messages.RequestPlay) proto.Message {
	a, known := s.Answer(cmd.GetRequestId())
	switch {
	case !known:
		_, reason := s.grant(cmd.GetWish())
		return refusal(cmd, reason)
	case a.Song == "":
		return refusal(cmd, a.Reason)
	}
	return &messages.SongQueued{RequestId: cmd.GetRequestId(), ListenerName: cmd.GetListenerName(), Song: a.Song}
}

// find reads a wish: an exact file name, a name without .mp3, or a number in SONGS.
// A file name that is itself a number wins over the number.
func (s State) find(wish string) (song string, exists bool) {
	for _, name := range []string{wish, wish + ".mp3"} {
		if s.has(name) {
			return name, true
		}
	}
	number, err := strconv.Atoi(wish)
	if err != nil || number < 1 || number > len(s.Songs) {
		return "", false
	}
	return s.Songs[number-1], true
}

// choose takes the first of the queue whose file is still there, else a random
// song other than the one that just played. While a choice has not been taken it stands.
func (s State) choose(cmd *messages.ChooseSong) []proto.Message {
	if s.Playing != nil && !s.Playing.Taken {
		return nil
	}
	var events []proto.Message
	for _, r := range s.Queue {
		if s.has(r.Song) {
			return append(events, &messages.SongChosen{
				Song: r.Song, RequestId: r.RequestID, ListenerName: r.Listener,
				Seed: cmd.GetSeed(), AtUnixUs: cmd.GetAtUnixUs(),
			})
		}
		events = append(events, &messages.SongSkipped{Song: r.Song, RequestId: r.RequestID, Reason: "the file is gone"})
	}
	song, found := s.random(cmd.GetSeed())
	if !found {
		return events
	}
	return append(events, &messages.SongChosen{Song: song, Seed: cmd.GetSeed(), AtUnixUs: cmd.GetAtUnixUs()})
}

func (s State) random(seed uint64) (song string, found bool) {
	if len(s.Songs) == 0 {
		return "", false
	}
	candidates := s.Songs
	if s.Playing != nil && len(s.Songs) > 1 {
		candidates = slices.DeleteFunc(slices.Clone(s.Songs), func(name string) bool { return name == s.Playing.Song })
	}
	return candidates[seed%uint64(len(candidates))], true
}

// Apply returns the state after event. It never refuses: event is already true.
func (s State) Apply(event proto.Message) State {
	switch event := event.(type) {
	case *messages.SongAdded:
		name := event.GetSong().GetName()
		if at, known := s.search(name); !known {
			s.Songs = slices.Insert(slices.Clone(s.Songs), at, name)
		}
	case *messages.SongRemoved:
		if at, known := s.search(event.GetName()); known {
			s.Songs = slices.Delete(slices.Clone(s.Songs), at, at+1)
		}
	case *messages.SongQueued:
		r := Request{Song: event.GetSong(), RequestID: event.GetRequestId(), Listener: event.GetListenerName()}
		s.Queue = append(slices.Clip(s.Queue), r)
		s = s.remember(Answer{RequestID: event.GetRequestId(), Song: event.GetSong()})
	case *messages.PlayRefused:
		s = s.remember(Answer{RequestID: event.GetRequestId(), Reason: event.GetReason()})
	case *messages.SongSkipped:
		s.Queue = without(s.Queue, event.GetSong())
	case *messages.SongChosen:
		s.Queue = without(s.Queue, event.GetSong())
		s.Playing = &Chosen{Song: event.GetSong(), RequestID: event.GetRequestId(), Listener: event.GetListenerName()}
	case *messages.SongStarted:
		s = s.taken(event.GetSong().GetName())
	case *messages.SongEnded:
		s = s.taken(event.GetSong())
	}
	return s
}

// MarshalJSON writes empty lists as [], whatever way they became empty: the same
// state is the same bytes.
func (s State) MarshalJSON() ([]byte, error) {
	type plain State
	if s.Queue == nil {
		s.Queue = []Request{}
	}
	if s.Songs == nil {
		s.Songs = []string{}
	}
	return json.Marshal(plain(s))
}

func (s State) taken(song string) State {
	if s.Playing != nil && s.Playing.Song == song && !s.Playing.Taken {
		taken := *s.Playing
		taken.Taken = true
		s.Playing = &taken
	}
	return s
}

func (s State) remember(a Answer) State {
	if a.RequestID != "" {
		s.Answered = s.Answered.with(a)
	}
	return s
}

// without takes the song out of the queue, which has it at most once. A request may
// have no id.
func without(queue []Request, song string) []Request {
	return slices.DeleteFunc(slices.Clone(queue), func(r Request) bool { return r.Song == song })
}

// Answer is what the request with this id got, if it is remembered.
func (s State) Answer(id string) (Answer, bool) {
	if id == "" {
		return Answer{}, false
	}
	return s.Answered.find(id)
}

func (s State) search(name string) (at int, known bool) {
	return slices.BinarySearchFunc(s.Songs, name, strings.Compare)
}

func (s State) has(name string) bool {
	_, known := s.search(name)
	return known
}
