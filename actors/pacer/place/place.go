// Package place says where the broadcast is: which song is on, with which numbers, and when. It follows from
// events and commands alone: the package reads no clock, knows no actor, and does no I/O.
package place

import (
	"encoding/hex"
	"encoding/json"
	"slices"
	"sort"
	"time"

	"conga/messages"

	"google.golang.org/protobuf/proto"
)

// State is where the broadcast is: the song that is on, its numbers and its time.
// Together with the clock and the files it gives every chunk, so that a restarted server can
// hand out those of the last seconds again. It is immutable.
type State struct {
	// Epoch names the server's last start, and grows from start to start. It is the unix
	// millisecond of the start, so that a log restored from a copy does not begin an epoch again.
	Epoch uint64 `json:"epoch"`
	// Song is on, nil between two songs.
	Song *Started `json:"song"`
	// Recent are the earlier songs of which somebody may still need a chunk, oldest first.
	Recent []Started `json:"recent"`
	// Next is the number that follows the last song, 0 on a new log.
	Next uint64 `json:"next"`
	// NextPlayAt is when the last song's last sample is over, in microseconds.
	NextPlayAt int64 `json:"nextPlayAtUnixUs"`
	// Wish is the slack that the host wants, and Slack that with which the last song ended, both in microseconds; 0: the
	// usual one.
	Wish  int64 `json:"slackWishedUs,omitempty"`
	Slack int64 `json:"slackUs,omitempty"`
}

// Started is a song with its place in the broadcast: its change has number Number,
// its chunks those that follow.
type Started struct {
	Name       string `json:"name"`
	Title      string `json:"title,omitempty"`
	Artist     string `json:"artist,omitempty"`
	DurationUs int64  `json:"durationUs"`
	SampleRate int32  `json:"sampleRate"`
	Frames     int64  `json:"frames"`
	FileBytes  int64  `json:"fileBytes"`
	ModifiedUs int64  `json:"modifiedUnixUs"`
	MadeOf     string `json:"madeOf,omitempty"`
	MadeSum    string `json:"madeSum,omitempty"`
	GainMb     int32  `json:"gainMb,omitempty"`
	Peak       int32  `json:"peakPermille,omitempty"`
	Number     uint64 `json:"number"`
	PlayAt     int64  `json:"playAtUnixUs"`
	PerChunk   int32  `json:"framesPerChunk"`
	// Its slack, at the beginning and in the end, in microseconds; 0: the usual one.
	SlackBefore int64 `json:"slackBeforeUs,omitempty"`
	Slack       int64 `json:"slackUs,omitempty"`
	// Played is how many of its frames were given out; 0 while the song is on.
	Played int64 `json:"framesPlayed,omitempty"`
	// FileSum is the SHA-256 of the file, in hex; empty: not known. Of one that was converted, MadeOf is.
	FileSum string `json:"fileSum,omitempty"`
	// Sum is the SHA-256 of those frames, in hex; empty while the song is on, and if it was not computed.
	Sum string `json:"framesSum,omitempty"`
	// Skipped: it has been decided to end it early.
	Skipped bool `json:"skipped,omitempty"`
}

// Decide says what follows from cmd. A command that comes at the wrong time has no effect.
func (s State) Decide(cmd proto.Message) []proto.Message {
	switch cmd := cmd.(type) {
	case *messages.OpenBroadcast:
		epoch := max(s.Epoch+1, uint64(max(0, cmd.GetAtUnixUs()))/1000)
		return []proto.Message{&messages.BroadcastOpened{Epoch: epoch, AtUnixUs: cmd.GetAtUnixUs(), Rules: cmd.GetRules(), SlackUs: cmd.GetSlackUs(), Chains: cmd.GetChains(), ChainsAtMost: cmd.GetChainsAtMost()}}
	case *messages.StartSong:
		if s.Song != nil {
			return nil
		}
		playAt := s.playAt(cmd.GetPlayAtUnixUs())
		before, to := s.slacks(playAt, messages.SlackNeeded(time.Duration(cmd.GetChainTakesUs())*time.Microsecond))
		return []proto.Message{&messages.SongStarted{
			Song:           cmd.GetSong(),
			Number:         max(s.Next, 1),
			PlayAtUnixUs:   playAt,
			FramesPerChunk: messages.FramesPerChunk(cmd.GetSong().GetSampleRate()),
			SlackBeforeUs:  messages.SlackUs(before),
			SlackUs:        messages.SlackUs(to),
		}}
	case *messages.EndSong:
		if s.Song == nil { // it could not even begin
			return []proto.Message{&messages.SongEnded{
				Song: cmd.GetSong(), Next: max(s.Next, 1), NextPlayAtUnixUs: s.NextPlayAt, Reason: cmd.GetReason(),
				Heard: messages.Heard_HEARD_NOTHING,
			}}
		}
		return []proto.Message{&messages.SongEnded{
			Song:             s.Song.Name,
			Next:             s.Song.Number + 1 + cmd.GetChunks(),
			NextPlayAtUnixUs: s.Song.PlayAt + messages.FrameOffset(cmd.GetFrames(), s.Song.SampleRate).Microseconds(),
			Reason:           cmd.GetReason(),
			Heard:            s.Song.heard(cmd),
			Sum:              cmd.GetSum(), Late: cmd.GetLate(),
		}}
	case *messages.CloseBroadcast:
		return []proto.Message{&messages.BroadcastClosed{Next: cmd.GetNext()}}
	}
	return nil
}

// heard is how much of the song was heard if it ends as end says.
func (s Started) heard(end *messages.EndSong) messages.Heard {
	switch {
	case end.GetReason() == "":
		return messages.Heard_HEARD_WHOLE
	case s.Skipped:
		return messages.Heard_HEARD_ENOUGH
	case 2*end.GetFrames() >= s.Frames:
		return messages.Heard_HEARD_MOST
	}
	return messages.Heard_HEARD_LITTLE
}

// Follows says whether this broadcast is the one that a listener heard before: number and playAt are
// those of its last song's change. It is another one if the log was restored from a copy, which has no
// such song, or a different one. A song too old to be remembered counts as the same broadcast; the listener
// goes on with a hole.
func (s State) Follows(number uint64, playAt int64) bool {
	songs := s.Recent
	if s.Song != nil {
		songs = append(slices.Clip(songs), *s.Song)
	}
	for _, song := range songs {
		if song.Number == number {
			return song.PlayAt == playAt
		}
	}
	if len(songs) > 0 {
		return number < songs[0].Number
	}
	return number < max(s.Next, 1)
}

// playAt is when the next song begins: gapless after the last one, but not before
// earliest. If the clock was set back, waiting for the last song's end could mean hours of silence;
// then it begins at earliest.
func (s State) playAt(earliest int64) int64 {
	if earliest > 0 && s.Ahead(s.NextPlayAt, earliest) {
		return earliest
	}
	return max(s.NextPlayAt, earliest)
}

// Ahead reports whether playAt is so long after now, both in microseconds, that the clock must have been set back.
func (s State) Ahead(playAt, now int64) bool {
	slack := messages.SlackOf(s.Slack)
	if s.Song != nil {
		slack = max(messages.SlackOf(s.Song.SlackBefore), messages.SlackOf(s.Song.Slack))
	}
	return playAt > now+(slack+usuallyAhead).Microseconds()
}

// usuallyAhead is how far beyond the slack a play-out time may be, if the clock was not set back.
const usuallyAhead = 2 * time.Second

// slacks are those of a song that begins at playAt. The host's wish holds from its beginning if there was a pause.
// Otherwise the song begins with the slack that the last one ended with, so that no chunk leaves earlier than the one
// before it.
func (s State) slacks(playAt int64, needed time.Duration) (before, to time.Duration) {
	to = max(messages.SlackOf(s.Wish), needed)
	if s.NextPlayAt == 0 || playAt != s.NextPlayAt {
		return to, to
	}
	return messages.SlackOf(s.Slack), to
}

// Apply returns the state after event. It never refuses: event is already true.
func (s State) Apply(event proto.Message) State {
	switch event := event.(type) {
	case *messages.BroadcastOpened:
		s.Epoch, s.Wish = event.GetEpoch(), event.GetSlackUs()
	case *messages.SongStarted:
		song := started(event)
		s.Song = &song
		s.Recent = slices.DeleteFunc(slices.Clone(s.Recent), func(old Started) bool {
			stepped := old.PlayAt > song.PlayAt // the clock was set back, and the old song must not be given out again
			return stepped || old.Until(old.Played) < song.PlayAt-messages.Window.Microseconds()
		})
	case *messages.SkipDecided:
		if s.Song != nil && s.Song.Number == event.GetNumber() {
			song := *s.Song
			song.Skipped = true
			s.Song = &song
		}
	case *messages.SongEnded:
		if s.Song != nil {
			ended := *s.Song
			ended.Played = ended.FramesIn(event.GetNextPlayAtUnixUs() - ended.PlayAt)
			ended.Sum = event.GetSum()
			s.Recent = append(slices.Clip(s.Recent), ended)
			s.Slack = messages.SlackUs(ended.slackAt(ended.Played))
		}
		s.Song = nil
		s.Next = event.GetNext()
		s.NextPlayAt = event.GetNextPlayAtUnixUs()
	}
	return s
}

// MarshalJSON writes an empty list as [], nil or not, so that the same
// state is the same bytes.
func (s State) MarshalJSON() ([]byte, error) {
	type plain State
	if s.Recent == nil {
		s.Recent = []Started{}
	}
	return json.Marshal(plain(s))
}

func started(e *messages.SongStarted) Started {
	song := e.GetSong()
	return Started{
		Name: song.GetName(), Title: song.GetTitle(), Artist: song.GetArtist(),
		DurationUs: song.GetDurationUs(), SampleRate: song.GetSampleRate(), Frames: song.GetFrames(),
		FileBytes: song.GetFileBytes(), ModifiedUs: song.GetModifiedUnixUs(),
		MadeOf: song.GetMadeOf(), MadeSum: song.GetMadeSum(), GainMb: song.GetGainMb(), Peak: song.GetPeakPermille(),
		Number: e.GetNumber(), PlayAt: e.GetPlayAtUnixUs(), PerChunk: e.GetFramesPerChunk(),
		SlackBefore: e.GetSlackBeforeUs(), Slack: e.GetSlackUs(), FileSum: hex.EncodeToString(song.GetSum()),
	}
}

// End is when the song's last sample is over, if the song is played whole, in microseconds.
func (s Started) End() int64 { return s.Until(s.Frames) }

// Until is when the first `frames` of its frames are over, in microseconds.
func (s Started) Until(frames int64) int64 {
	return s.PlayAt + messages.FrameOffset(frames, s.SampleRate).Microseconds()
}

// FramesIn is how many of the song's frames last us microseconds, rounded.
func (s Started) FramesIn(us int64) int64 {
	if us <= 0 {
		return 0
	}
	samples := us/1e6*int64(s.SampleRate) + us%1e6*int64(s.SampleRate)/1e6 // us alone may be years
	return min((samples+messages.SamplesPerFrame/2)/messages.SamplesPerFrame, s.Frames)
}

// Given is how many frames, in whole chunks, can have left the server by now, a time
// in microseconds.
func (s Started) Given(now int64) int64 {
	per := int64(s.PerChunk)
	chunks := sort.Search(int(s.Chunks(s.Frames)), func(i int) bool { return s.Due(int64(i)*per) > now })
	return min(int64(chunks)*per, s.Frames)
}

// slackAt is the slack of one of the song's frames.
func (s Started) slackAt(frame int64) time.Duration {
	return messages.SlackAt(messages.SlackOf(s.SlackBefore), messages.SlackOf(s.Slack), messages.FrameOffset(frame, s.SampleRate))
}

// Due is when the chunk that begins with this frame leaves the server, in microseconds, as messages.Item says it.
func (s Started) Due(frame int64) int64 { return s.Until(frame) - s.slackAt(frame).Microseconds() }

// Chunks is how many chunks that many of the song's frames make.
func (s Started) Chunks(frames int64) uint64 {
	return uint64((frames + int64(s.PerChunk) - 1) / int64(s.PerChunk))
}
