package catalog

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"conga/messages"
)

// Song is a song that can be requested, as the dump shows it.
type Song struct {
	Name           string `json:"name"` // of the file, "bach.mp3"
	Title          string `json:"title"`
	Artist         string `json:"artist"`
	DurationMs     int64  `json:"durationMs"`
	SampleRate     int32  `json:"sampleRate"`
	Frames         int64  `json:"frames"`
	AudioBytes     int64  `json:"audioBytes"`
	FileBytes      int64  `json:"fileBytes"`
	ModifiedUnixUs int64  `json:"modifiedUnixUs"`
}

// Rejected is a file that is there and cannot be played.
type Rejected struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// State is the catalog: what the folder holds, as far as it was looked at. It is
// immutable, and so is every Song that it points to.
type State struct {
	Songs    []*Song    `json:"songs"`    // sorted by name: a song's number is its place, from 1
	Rejected []Rejected `json:"rejected"` // sorted by name
}

// Decide says what a report changes: first what is gone, then what is new or has
// changed, then what cannot be played, each by name. A report that says what is
// known already yields no events. A name that a report has twice counts once, and
// as a song rather than as rejected.
func (s State) Decide(cmd proto.Message) []proto.Message {
	report, ok := cmd.(*messages.ReportSongs)
	if !ok {
		return nil
	}
	songs := byName(report.GetSongs())
	rejected := slices.DeleteFunc(byName(report.GetRejected()), func(r *messages.RejectedSong) bool {
		_, found := find(songs, r.GetName(), (*messages.Song).GetName)
		return found
	})

	var events []proto.Message
	gone := func(name string) {
		_, song := find(songs, name, (*messages.Song).GetName)
		_, refused := find(rejected, name, (*messages.RejectedSong).GetName)
		_, known := find(s.Songs, name, songName)
		// A song that cannot be played any more is gone for those who would request it.
		if !song && (known || !refused) {
			events = append(events, &messages.SongRemoved{Name: name})
		}
	}
	for _, song := range s.Songs {
		gone(song.Name)
	}
	for _, refused := range s.Rejected {
		gone(refused.Name)
	}
	for _, song := range songs {
		if at, found := find(s.Songs, song.GetName(), songName); !found || *s.Songs[at] != *fromMessage(song) {
			events = append(events, &messages.SongAdded{Song: proto.CloneOf(song)})
		}
	}
	for _, refused := range rejected {
		at, found := find(s.Rejected, refused.GetName(), rejectedName)
		if !found || s.Rejected[at].Reason != refused.GetReason() {
			events = append(events, &messages.SongRejected{Name: refused.GetName(), Reason: refused.GetReason()})
		}
	}
	return events
}

// Apply returns the catalog after event.
func (s State) Apply(event proto.Message) State {
	switch event := event.(type) {
	case *messages.SongAdded:
		song := fromMessage(event.GetSong())
		return State{Songs: with(s.Songs, song, songName), Rejected: without(s.Rejected, song.Name, rejectedName)}
	case *messages.SongRemoved:
		return State{
			Songs:    without(s.Songs, event.GetName(), songName),
			Rejected: without(s.Rejected, event.GetName(), rejectedName),
		}
	case *messages.SongRejected:
		refused := Rejected{Name: event.GetName(), Reason: event.GetReason()}
		return State{Songs: s.Songs, Rejected: with(s.Rejected, refused, rejectedName)}
	}
	return s
}

// MarshalJSON writes empty lists as [], whatever way they became empty: the same
// state is the same bytes.
func (s State) MarshalJSON() ([]byte, error) {
	type plain State
	if s.Songs == nil {
		s.Songs = []*Song{}
	}
	if s.Rejected == nil {
		s.Rejected = []Rejected{}
	}
	return json.Marshal(plain(s))
}

// Names lists the songs in the order of their numbers. The list is the caller's.
func (s State) Names() []string {
	names := make([]string, len(s.Songs))
	for i, song := range s.Songs {
		names[i] = song.Name
	}
	return names
}

// Find returns the song of this file name, nil if there is none.
func (s State) Find(name string) *messages.Song {
	at, found := find(s.Songs, name, songName)
	if !found {
		return nil
	}
	return s.Songs[at].message()
}

func fromMessage(m *messages.Song) *Song {
	return &Song{
		Name:           m.GetName(),
		Title:          m.GetTitle(),
		Artist:         m.GetArtist(),
		DurationMs:     m.GetDurationUs() / 1000,
		SampleRate:     m.GetSampleRate(),
		Frames:         m.GetFrames(),
		AudioBytes:     m.GetAudioBytes(),
		FileBytes:      m.GetFileBytes(),
		ModifiedUnixUs: m.GetModifiedUnixUs(),
	}
}

// message is what the log said of the song. Its duration, which State keeps in
// milliseconds only, follows from the frames.
func (s *Song) message() *messages.Song {
	m := &messages.Song{
		Name:           s.Name,
		Title:          s.Title,
		Artist:         s.Artist,
		DurationUs:     s.DurationMs * 1000,
		SampleRate:     s.SampleRate,
		Frames:         s.Frames,
		AudioBytes:     s.AudioBytes,
		FileBytes:      s.FileBytes,
		ModifiedUnixUs: s.ModifiedUnixUs,
	}
	if s.SampleRate > 0 {
		m.DurationUs = messages.FrameOffset(s.Frames, s.SampleRate).Microseconds()
	}
	return m
}

func songName(s *Song) string        { return s.Name }
func rejectedName(r Rejected) string { return r.Name }

// byName returns list sorted, each name once (the first) and none empty.
func byName[T interface{ GetName() string }](list []T) []T {
	sorted := slices.SortedStableFunc(slices.Values(list), func(a, b T) int { return cmp.Compare(a.GetName(), b.GetName()) })
	sorted = slices.CompactFunc(sorted, func(a, b T) bool { return a.GetName() == b.GetName() })
	return slices.DeleteFunc(sorted, func(t T) bool { return t.GetName() == "" })
}

func find[T any](sorted []T, name string, nameOf func(T) string) (int, bool) {
	return slices.BinarySearchFunc(sorted, name, func(t T, name string) int { return strings.Compare(nameOf(t), name) })
}

// with and without copy: the list that they were given stays as it is.
func with[T any](sorted []T, t T, nameOf func(T) string) []T {
	at, found := find(sorted, nameOf(t), nameOf)
	out := make([]T, 0, len(sorted)+1)
	out = append(append(out, sorted[:at]...), t)
	if found {
		at++
	}
	return append(out, sorted[at:]...)
}

func without[T any](sorted []T, name string, nameOf func(T) string) []T {
	at, found := find(sorted, name, nameOf)
	if !found {
		return sorted
	}
	return slices.Concat(sorted[:at], sorted[at+1:])
}
