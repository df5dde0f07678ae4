package queue

import (
	"cmp"
	"slices"

	"google.golang.org/protobuf/proto"

	"conga/messages"
)

// maxHistory is how many heard songs are remembered.
const maxHistory = 100

// OnAir is the song that the server is sending.
type OnAir struct {
	Song   string `json:"song"`
	Number uint64 `json:"number"` // of its change
	PlayAt int64  `json:"playAtUnixUs"`
	Ends   int64  `json:"endsUnixUs"` // if it is played whole
	// Votes are for skipping it. They count for this song only.
	Votes   []Vote `json:"votes,omitempty"`
	Skipped bool   `json:"skipped,omitempty"` // it has been decided to skip it
}

// Vote is one person's vote to skip the song.
type Vote struct {
	Person    string `json:"person"`
	Household string `json:"household,omitempty"`
}

// Heard is a song that was heard or is being heard.
type Heard struct {
	Song   string         `json:"song"`
	Title  string         `json:"title,omitempty"`
	Artist string         `json:"artist,omitempty"`
	By     string         `json:"by,omitempty"` // who asked for it; empty: nobody
	PlayAt int64          `json:"playAtUnixUs"`
	How    messages.Heard `json:"how,omitempty"`
}

// somebody stands for a person who asked without a name.
const somebody = "somebody"

func (s State) started(event *messages.SongStarted) State {
	song := event.GetSong()
	s = s.taken(song.GetName())
	s.On = &OnAir{
		Song: song.GetName(), Number: event.GetNumber(), PlayAt: event.GetPlayAtUnixUs(),
		Ends: event.GetPlayAtUnixUs() + song.GetDurationUs(),
	}
	heard := Heard{Song: song.GetName(), Title: song.GetTitle(), Artist: song.GetArtist(), PlayAt: event.GetPlayAtUnixUs()}
	if p := s.Playing; p != nil && p.Song == song.GetName() && p.Asked {
		heard.By = cmp.Or(p.Listener, somebody)
	}
	s.History = append(slices.Clip(s.History), heard)
	s.History = s.History[max(0, len(s.History)-maxHistory):]
	return s
}

// offAir ends the song that is on, and notes how much of it was heard.
func (s State) offAir(event *messages.SongEnded) State {
	if s.On != nil && event.GetHeard() != messages.Heard_HEARD_WHOLE && len(s.History) > 0 {
		s.History = slices.Clone(s.History)
		s.History[len(s.History)-1].How = event.GetHeard()
	}
	s.On, s.Ends = nil, event.GetNextPlayAtUnixUs()
	return s
}

// mostVotes is how many votes of one address count. If more than one vote is needed, no address
// can skip a song alone.
func mostVotes(needed int) int { return max(1, needed/2) }

// skip counts a vote against the song that is heard, and ends the song if that is enough. The host's word is
// enough by itself.
func (s State) skip(cmd *messages.SkipSong) []proto.Message {
	if _, again := s.Answer(cmd.GetRequestId()); again {
		return nil
	}
	decided := &messages.SkipDecided{RequestId: cmd.GetRequestId()}
	switch s.ballot(cmd) {
	case messages.SkipDone:
		decided.Song, decided.Number = s.On.Song, s.On.Number
		return []proto.Message{decided}
	case messages.SkipCounted:
		votes := len(s.On.Votes) + 1
		events := []proto.Message{&messages.SkipVoted{
			Song: s.On.Song, Number: s.On.Number, ListenerId: cmd.GetListenerId(), ListenerName: cmd.GetListenerName(),
			Person: cmd.GetPerson(), Household: cmd.GetHousehold(), RequestId: cmd.GetRequestId(),
		}}
		if votes >= s.Rules.SkipVotes {
			decided.Song, decided.Number, decided.Votes = s.On.Song, s.On.Number, int32(votes)
			events = append(events, decided)
		}
		return events
	}
	return nil
}

// ballot says what becomes of the vote. It is SkipDone only for the host.
func (s State) ballot(cmd *messages.SkipSong) messages.SkipResult {
	host := cmd.GetRole() == messages.Role_ROLE_HOST
	person := personOf(cmd.GetPerson(), cmd.GetListenerId())
	switch {
	case s.Rules.SkipVotes == 0 && !host:
		return messages.SkipOff
	case (s.On == nil || cmd.GetAtUnixUs() < s.On.PlayAt) && cmd.GetAtUnixUs() < s.Ends: // it has been sent whole
		return messages.SkipOver
	case s.On == nil, cmd.GetAtUnixUs() < s.On.PlayAt: // nothing is heard yet
		return messages.SkipNothing
	case s.On.Skipped:
		return messages.SkipOver
	case host:
		return messages.SkipDone
	}
	together := 0
	for _, v := range s.On.Votes {
		if v.Person == person {
			return messages.SkipAgain
		}
		if v.Household == cmd.GetHousehold() {
			together++
		}
	}
	if together >= mostVotes(s.Rules.SkipVotes) {
		return messages.SkipHousehold
	}
	return messages.SkipCounted
}

// Skipped is the answer to a SkipSong, once its events are applied.
func (s State) Skipped(cmd *messages.SkipSong) *messages.SkipAnswer {
	answer := &messages.SkipAnswer{Needed: s.Rules.SkipVotes}
	a, counted := s.Answer(cmd.GetRequestId())
	switch {
	case !counted:
		answer.Result = s.ballot(cmd)
	case s.On == nil || s.On.Song != a.Song || s.On.Skipped:
		answer.Result, answer.Song = messages.SkipDone, a.Song
		return answer
	default:
		answer.Result = messages.SkipCounted
	}
	if s.On != nil {
		answer.Song, answer.Votes = s.On.Song, len(s.On.Votes)
	}
	return answer
}

func (s State) voted(event *messages.SkipVoted) State {
	if s.On != nil && s.On.Number == event.GetNumber() {
		on := *s.On
		on.Votes = append(slices.Clip(on.Votes), Vote{personOf(event.GetPerson(), event.GetListenerId()), event.GetHousehold()})
		s.On = &on
	}
	return s.remember(Answer{RequestID: event.GetRequestId(), Song: event.GetSong()})
}

func (s State) decided(event *messages.SkipDecided) State {
	if s.On != nil && s.On.Number == event.GetNumber() {
		on := *s.On
		on.Skipped = true
		s.On = &on
	}
	if _, known := s.Answer(event.GetRequestId()); known { // the last vote's
		return s
	}
	return s.remember(Answer{RequestID: event.GetRequestId(), Song: event.GetSong()})
}

// Heard lists the songs that were heard, newest first, and before them the one that is being heard.
func (s State) Heard(now int64) *messages.History {
	all := &messages.History{}
	for _, h := range slices.Backward(s.History) {
		if h.PlayAt > now {
			continue
		}
		all.Heard = append(all.Heard, messages.HeardSong{
			Song: &messages.Song{Name: h.Song, Title: h.Title, Artist: h.Artist}, By: h.By, PlayAtUs: h.PlayAt, How: h.How,
			Over: len(all.Heard) > 0 || s.On == nil && s.Ends <= now,
		})
	}
	return all
}
