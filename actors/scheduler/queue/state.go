// Package queue decides what plays next: who waits for which song, whose turn it is, what was voted and heard.
package queue

import (
	"encoding/json"
	"slices"
	"time"

	"conga/actors/internal/sorted"
	"conga/messages"

	"google.golang.org/protobuf/proto"
)

// maxQueue bounds what listeners can make the server remember: about two days of
// three-minute songs.
const maxQueue = 1000

const (
	// maxTries is how often a requested song is tried in a row, half a second apart, before others are
	// played. In that time a file that is being saved is whole again.
	maxTries = 3
	// maxBroken is how often a requested song may break off in its first half. Then its request is
	// given up, for everybody has heard that half.
	maxBroken = 3
	// tryAgain is how often one of the songs is tried that are there but could not be opened.
	tryAgain = time.Minute
	// keepWaiting is how long a request waits for its song while others play. While nothing can be
	// played, or the server is down, the request is not given up.
	keepWaiting = 24 * time.Hour
)

// State is what plays and what will: the songs that exist, the queue, the requests that were
// answered. It is immutable.
type State struct {
	// Playing is the song chosen last.
	Playing *Chosen `json:"playing"`
	// Queue is who waits, next first.
	Queue []Request `json:"queue"`
	// Songs are those of the catalog, in the order of their files' names. PLAY's numbers count them from 1.
	Songs sorted.List[*Song] `json:"songs"`
	// Rules are those of the server's last start.
	Rules Rules `json:"rules"`
	// Arrived counts the requests. Round is that of the request chosen last, and Served lists who had a request played
	// in it.
	Arrived uint64   `json:"arrived,omitempty"`
	Round   uint64   `json:"round,omitempty"`
	Served  []string `json:"served,omitempty"`
	// On is what the server is sending, nil between two songs. Then Ends is when the last one is over, in unix microseconds.
	On   *OnAir `json:"on,omitempty"`
	Ends int64  `json:"endsUnixUs,omitempty"`
	// History lists the last songs that were sent, newest last.
	History []Heard `json:"history,omitempty"`
	// Away is why none of the songs can be seen now; empty: they are there.
	Away string `json:"away,omitempty"`
	// Folders are the subfolders whose songs cannot be seen now. Their songs keep their numbers.
	Folders messages.AwayFolders `json:"awayFolders,omitempty"`
	// Pending are the songs that must be converted before they can be played.
	Pending sorted.List[Name] `json:"pending,omitzero"`
	// Playlist is what plays when nobody has asked for anything; nil: random songs.
	Playlist *Playlist `json:"playlist,omitempty"`
	// TryAgain is when the next song that could not be opened may be tried, in unix microseconds.
	TryAgain int64 `json:"tryAgainUnixUs,omitempty"`
	// Answered are the last requests and what they got.
	Answered Answered `json:"answered"`

	spellings sorted.List[spelling] // of Songs
}

// Chosen is a song on its way to the pacer or playing.
type Chosen struct {
	Request
	// Asked means that a request chose it. If the song is not heard, the request goes back into the queue.
	Asked bool `json:"asked,omitempty"`
	// Taken means that the pacer has started it, or could not. Until then the same
	// song is chosen again, so that a crash loses no request.
	Taken bool `json:"taken"`
}

// Request is a song that a listener waits for.
type Request struct {
	Song      string `json:"song"`
	RequestID string `json:"requestId,omitempty"`
	Listener  string `json:"listener,omitempty"` // the name of the person who asked
	// Person is who asked, and Household a hash of the address: each has a share of the queue.
	Person    string `json:"person,omitempty"`
	Household string `json:"household,omitempty"`
	Arrival   uint64 `json:"arrival,omitempty"` // counts the requests from 1
	Round     uint64 `json:"round,omitempty"`   // in a fair queue
	// Tries is how often in a row its song could not be played, and Broken how often its song broke off.
	Tries  int `json:"tries,omitempty"`
	Broken int `json:"broken,omitempty"`
	// Waits is since when others are played before it, in unix microseconds, and Reason says why. 0: it
	// only waits for its turn.
	Waits  int64  `json:"waitsSinceUnixUs,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// Decide says what follows from cmd. A request that was answered before yields no
// events; Answer has what it got.
func (s State) Decide(cmd proto.Message) []proto.Message {
	switch cmd := cmd.(type) {
	case *messages.RequestPlay:
		return s.request(cmd)
	case *messages.CancelRequest:
		return s.cancel(cmd)
	case *messages.SkipSong:
		return s.skip(cmd)
	case *messages.ChooseSong:
		return s.choose(cmd)
	case *messages.SetPlaylist:
		return s.setPlaylist(cmd)
	}
	return nil
}

// Apply returns the state after event. It never refuses: event is already true.
func (s State) Apply(event proto.Message) State {
	switch event := event.(type) {
	case *messages.BroadcastOpened:
		s.Queue = ready(s.Queue, func(Request) bool { return true })
		s = s.rule(rulesOf(event.GetRules()))
	case *messages.SongQueued:
		s.Arrived++
		s = s.enqueue(Request{
			Song: event.GetSong(), RequestID: event.GetRequestId(), Listener: event.GetListenerName(),
			Person: personOf(event.GetPerson(), event.GetListenerId()), Household: event.GetHousehold(), Arrival: s.Arrived,
		})
		s = s.remember(Answer{RequestID: event.GetRequestId(), Song: event.GetSong()})
	case *messages.PlayRefused:
		s = s.remember(Answer{RequestID: event.GetRequestId(), Reason: event.GetReason()})
	case *messages.SongWaits:
		if at := s.place(event.GetSong(), event.GetRequestId()); at >= 0 {
			s.Queue = slices.Clone(s.Queue)
			s.Queue[at].Waits, s.Queue[at].Reason = event.GetAtUnixUs(), event.GetReason()
		}
	case *messages.SongCancelled:
		s = s.without(s.place(event.GetSong(), event.GetRequestId()))
		s = s.remember(Answer{RequestID: event.GetCancelId(), Song: event.GetSong()})
	case *messages.SkipVoted:
		s = s.voted(event)
	case *messages.SkipDecided:
		s = s.decided(event)
	case *messages.SongSkipped:
		s = s.without(s.place(event.GetSong(), event.GetRequestId()))
	case *messages.PlaylistSet:
		s.Playlist = playlistOf(event)
	case *messages.SongChosen:
		s.Playlist = s.Playlist.after(event.GetPlaylistPlace())
		s.Playing = &Chosen{Request: Request{Song: event.GetSong(), RequestID: event.GetRequestId(), Listener: event.GetListenerName()}}
		if at := s.place(event.GetSong(), event.GetRequestId()); at >= 0 {
			s.Playing.Request, s.Playing.Asked = s.Queue[at], true
			if s.Playing.Waits != 0 {
				s.TryAgain = event.GetAtUnixUs() + tryAgain.Microseconds()
			}
			s = s.without(at).serve(s.Queue[at])
		}
	case *messages.SongStarted:
		s = s.started(event)
	case *messages.SongEnded:
		s = s.offAir(event).ended(event)
	default:
		s = s.found(event)
	}
	return s
}

// MarshalJSON writes an empty list as [], nil or not, so that the same
// state is the same bytes.
func (s State) MarshalJSON() ([]byte, error) {
	type plain State
	if s.Queue == nil {
		s.Queue = []Request{}
	}
	if s.Rules.Order == "" {
		s.Rules.Order = Fifo
	}
	return json.Marshal(plain(s))
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *State) UnmarshalJSON(data []byte) error {
	type plain State
	if err := json.Unmarshal(data, (*plain)(s)); err != nil {
		return err
	}
	s.spell()
	return nil
}

// Lists are those that grow with the folder.
func (s *State) Lists() []sorted.Kept { return []sorted.Kept{spelledSongs{&s.Songs, s}, &s.Pending} }

// spelledSongs is Songs as it is kept: the spellings follow from it.
type spelledSongs struct {
	*sorted.List[*Song]
	of *State
}

// Read reads the songs.
func (l spelledSongs) Read(n int, read func(element any) error) error {
	if err := l.List.Read(n, read); err != nil {
		return err
	}
	l.of.spell()
	return nil
}

// spell finds the spellings of all songs.
func (s *State) spell() {
	spellings := make([]spelling, 0, s.Songs.Len())
	for song := range s.Songs.All() {
		spellings = append(spellings, spelled(song.Name))
	}
	s.spellings = sorted.Of(spellings)
}

func (s State) taken(song string) State {
	if s.Playing != nil && s.Playing.Song == song && !s.Playing.Taken {
		taken := *s.Playing
		taken.Taken = true
		s.Playing = &taken
	}
	return s
}

// ended ends the song. If it was asked for and not heard, its request is next again.
func (s State) ended(event *messages.SongEnded) State {
	p := s.Playing
	if p == nil || p.Song != event.GetSong() {
		return s
	}
	r := p.Request
	r.Reason = event.GetReason()
	over := *p
	over.Taken, over.Asked = true, false
	s.Playing = &over
	switch event.GetHeard() {
	case messages.Heard_HEARD_NOTHING:
		r.Tries++
	case messages.Heard_HEARD_LITTLE:
		r.Broken++
	default:
		return s
	}
	if p.Asked { // it goes before a request for the same song that came meanwhile
		s.Queue = slices.Concat([]Request{r}, s.Queue)
	}
	return s
}

// ready is the queue after the requests that are meant have become playable: they only wait for their turn.
func ready(queue []Request, meant func(Request) bool) []Request {
	queue = slices.Clone(queue)
	for i, r := range queue {
		if meant(r) {
			queue[i].Tries, queue[i].Waits, queue[i].Reason = 0, 0, ""
		}
	}
	return queue
}

func (s State) remember(a Answer) State {
	if a.RequestID != "" {
		s.Answered = s.Answered.with(a)
	}
	return s
}

// place is where the request stands in the queue, -1 if it does not. The song is compared, too, for a request may
// have no id.
func (s State) place(song, id string) int {
	return slices.IndexFunc(s.Queue, func(r Request) bool { return r.Song == song && r.RequestID == id })
}

// without takes the request at this place out of the queue.
func (s State) without(at int) State {
	if at >= 0 {
		s.Queue = slices.Concat(s.Queue[:at], s.Queue[at+1:])
	}
	return s
}

// Answer is what the request with this id got, if it is remembered.
func (s State) Answer(id string) (Answer, bool) {
	if id == "" {
		return Answer{}, false
	}
	return s.Answered.find(id)
}

// waits says whether the song stands in the queue.
func (s State) waits(song string) bool {
	return slices.ContainsFunc(s.Queue, func(r Request) bool { return r.Song == song })
}
