// Package library says which songs there are: those that a look at the folder has reported, those that were converted, and
// those that people have brought. It follows from events and commands alone: the package reads no clock, knows no actor,
// and does no I/O.
package library

import (
	"cmp"
	"encoding/hex"
	"slices"

	"google.golang.org/protobuf/proto"

	"conga/actors/internal/sorted"
	"conga/messages"
)

// Song is a song that can be requested, as the dump shows it.
type Song struct {
	Name           string `json:"name"` // its path in the songs folder, "bach.mp3"
	Title          string `json:"title"`
	Artist         string `json:"artist"`
	DurationMs     int64  `json:"durationMs"`
	SampleRate     int32  `json:"sampleRate"`
	Frames         int64  `json:"frames"`
	AudioBytes     int64  `json:"audioBytes"`
	FileBytes      int64  `json:"fileBytes"`
	ModifiedUnixUs int64  `json:"modifiedUnixUs"`

	Form    messages.Song_Form `json:"form,omitempty"`
	MadeOf  string             `json:"madeOf,omitempty"`
	MadeSum string             `json:"madeSum,omitempty"`

	GainMb       int32 `json:"gainMb,omitempty"` // hundredths of a decibel
	PeakPermille int32 `json:"peakPermille,omitempty"`

	Sum string `json:"sum,omitempty"` // SHA-256 of the file, in hex
}

// SameFile says whether both are of the same file with the same content, by its size and time.
func (s *Song) SameFile(of *messages.Song) bool {
	return s.FileBytes == of.GetFileBytes() && s.ModifiedUnixUs == of.GetModifiedUnixUs()
}

// Rejected is a file that is there and cannot be played.
type Rejected struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
	// Of a file that ffmpeg has refused: it is not tried again while it is so. 0: each start looks again.
	FileBytes      int64 `json:"fileBytes,omitempty"`
	ModifiedUnixUs int64 `json:"modifiedUnixUs,omitempty"`
}

// Brought says who has brought a song.
type Brought struct {
	Name   string `json:"name"`
	By     string `json:"by"`
	Person string `json:"person,omitempty"`
	Sum    string `json:"sum"` // SHA-256 of the file
	AtUs   int64  `json:"atUs"`
}

// Key is the name.
func (b Brought) Key() string { return b.Name }

// Key is the name.
func (s *Song) Key() string { return s.Name }

// Key is the name.
func (r Rejected) Key() string { return r.Name }

// State is the catalog: what the folder had at the last look. It is
// immutable, and so is every Song that it points to.
type State struct {
	Songs    sorted.List[*Song]    `json:"songs"` // by name: a song's number is its place, from 1
	Rejected sorted.List[Rejected] `json:"rejected"`
	// Away is why the folder cannot be seen now; empty: it can.
	Away string `json:"away,omitempty"`
	// Folders are the subfolders that cannot be seen now. Their songs stay known.
	Folders messages.AwayFolders `json:"awayFolders,omitempty"`
	// Brought are songs that people have brought, by name.
	Brought sorted.List[Brought] `json:"brought,omitzero"`
	// Wanted are songs that somebody asked for and that must be converted, in the order of asking.
	Wanted []string `json:"wanted,omitempty"`
}

// Lists are those that grow with the folder.
func (s *State) Lists() []sorted.Kept { return []sorted.Kept{&s.Songs, &s.Rejected, &s.Brought} }

// Decide says what follows from cmd.
func (s State) Decide(cmd proto.Message) []proto.Message {
	switch cmd := cmd.(type) {
	case *messages.ReportSongs:
		return s.reported(cmd)
	case *messages.MadeSong:
		return s.made(cmd)
	case *messages.BringSong:
		return s.brought(cmd)
	case *messages.LostSongs:
		return s.lost(cmd)
	}
	return nil
}

// reported says what a report changes: first what is gone, then what is new or has
// changed, then what cannot be played, each by name. A report of what is known already
// yields no events. A name that a report has twice counts once, and as a song rather
// than as rejected.
func (s State) reported(report *messages.ReportSongs) []proto.Message {
	if report.GetAway() != "" {
		if s.Away != "" || s.Songs.Len() == 0 {
			return nil
		}
		return []proto.Message{&messages.SongsAway{Reason: report.GetAway()}}
	}
	var events []proto.Message
	if s.Away != "" {
		events = append(events, &messages.SongsBack{})
	}
	events = append(events, s.folders(report)...)
	songs := byName(report.GetSongs())
	rejected := slices.DeleteFunc(byName(report.GetRejected()), func(r *messages.RejectedSong) bool {
		_, found := slices.BinarySearchFunc(songs, r.GetName(), func(song *messages.Song, name string) int { return cmp.Compare(song.GetName(), name) })
		return found
	})
	gone := slices.Clone(report.GetGone())
	for _, refused := range rejected { // a song that cannot be played any more cannot be requested any more
		if _, known := s.Songs.Find(refused.GetName()); known {
			gone = append(gone, refused.GetName())
		}
	}
	slices.Sort(gone)
	for _, name := range slices.Compact(gone) {
		_, song := s.Songs.Find(name)
		_, refused := s.Rejected.Find(name)
		if song || refused {
			events = append(events, &messages.SongRemoved{Name: name})
		}
	}
	for _, song := range songs {
		known, found := s.Songs.Find(song.GetName())
		if found && known.Form == messages.Song_FORM_CONVERTED && song.GetForm() == messages.Song_FORM_OTHER && known.SameFile(song) {
			continue // it is converted already
		}
		if !found || *known != *fromMessage(song) {
			events = append(events, &messages.SongAdded{Song: proto.CloneOf(song)})
		}
	}
	for _, refused := range rejected {
		if known, found := s.Rejected.Find(refused.GetName()); !found || known.Reason != refused.GetReason() {
			events = append(events, &messages.SongRejected{Name: refused.GetName(), Reason: refused.GetReason()})
		}
	}
	return events
}

// folders says what a report changes about subfolders.
func (s State) folders(report *messages.ReportSongs) (events []proto.Message) {
	unseen := s.Folders
	for _, folder := range slices.Compact(slices.Sorted(slices.Values(report.GetFoldersBack()))) {
		if unseen[folder] != "" {
			events = append(events, &messages.SongsBack{Folder: folder})
			unseen = unseen.Without(folder)
		}
	}
	for _, away := range report.GetFoldersAway() {
		if folder := away.GetFolder(); folder != "" && away.GetReason() != "" && unseen[folder] != away.GetReason() {
			events = append(events, &messages.SongsAway{Folder: folder, Reason: away.GetReason()})
			unseen = unseen.With(folder, away.GetReason())
		}
	}
	return events
}

// Apply returns the catalog after event.
func (s State) Apply(event proto.Message) State {
	switch event := event.(type) {
	case *messages.SongAdded:
		song := fromMessage(event.GetSong())
		s.Songs, s.Rejected = s.Songs.With(song), s.Rejected.Without(song.Name)
		if song.Form != messages.Song_FORM_OTHER {
			s = s.notWanted(song.Name)
		}
	case *messages.SongRemoved:
		s.Songs, s.Rejected = s.Songs.Without(event.GetName()), s.Rejected.Without(event.GetName())
		s.Brought = s.Brought.Without(event.GetName())
		s = s.notWanted(event.GetName())
	case *messages.SongBrought:
		s.Brought = s.Brought.With(Brought{
			Name: event.GetSong(), By: event.GetListenerName(), Person: event.GetPerson(), Sum: event.GetSum(), AtUs: event.GetAtUnixUs(),
		})
	case *messages.SongQueued:
		s = s.wanted(event.GetSong())
	case *messages.SongWaits:
		s = s.wanted(event.GetSong())
	case *messages.SongSkipped:
		s = s.notWanted(event.GetSong())
	case *messages.SongCancelled:
		s = s.notWanted(event.GetSong())
	case *messages.SongRejected:
		s.Rejected = s.Rejected.With(Rejected{
			Name: event.GetName(), Reason: event.GetReason(), FileBytes: event.GetFileBytes(), ModifiedUnixUs: event.GetModifiedUnixUs(),
		})
	case *messages.SongsAway:
		if folder := event.GetFolder(); folder != "" {
			s.Folders = s.Folders.With(folder, event.GetReason())
		} else {
			s.Away = event.GetReason()
		}
	case *messages.SongsBack:
		if folder := event.GetFolder(); folder != "" {
			s.Folders = s.Folders.Without(folder)
		} else {
			s.Away = ""
		}
	}
	return s
}

// SameSongs says whether both states have the same songs. It costs little if one has followed from the other.
func (s State) SameSongs(as State) bool {
	for range sorted.Differ(s.Songs, as.Songs) {
		return false
	}
	return true
}

// Names lists the songs in the order of their numbers; none while they are away. The list is the
// caller's.
func (s State) Names() []string {
	if s.Away != "" {
		return []string{}
	}
	names := make([]string, 0, s.Songs.Len())
	for song := range s.Songs.All() {
		names = append(names, song.Name)
	}
	return names
}

// Find returns the song of this file name, nil if there is none.
func (s State) Find(name string) *messages.Song {
	song, found := s.Songs.Find(name)
	if !found {
		return nil
	}
	return song.Message()
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
		Form:           m.GetForm(),
		MadeOf:         m.GetMadeOf(),
		MadeSum:        m.GetMadeSum(),
		GainMb:         m.GetGainMb(),
		PeakPermille:   m.GetPeakPermille(),
		Sum:            hex.EncodeToString(m.GetSum()),
	}
}

// Message is the song as in the log. Its duration, which State keeps in
// milliseconds only, follows from the frames.
func (s *Song) Message() *messages.Song {
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
		Form:           s.Form,
		MadeOf:         s.MadeOf,
		MadeSum:        s.MadeSum,
		GainMb:         s.GainMb,
		PeakPermille:   s.PeakPermille,
	}
	if s.Sum != "" {
		m.Sum, _ = hex.DecodeString(s.Sum) // it was encoded
	}
	if s.SampleRate > 0 {
		m.DurationUs = messages.FrameOffset(s.Frames, s.SampleRate).Microseconds()
	}
	return m
}

// byName returns list sorted, each name once (the first) and none empty.
func byName[T interface{ GetName() string }](list []T) []T {
	sorted := slices.SortedStableFunc(slices.Values(list), func(a, b T) int { return cmp.Compare(a.GetName(), b.GetName()) })
	sorted = slices.CompactFunc(sorted, func(a, b T) bool { return a.GetName() == b.GetName() })
	return slices.DeleteFunc(sorted, func(t T) bool { return t.GetName() == "" })
}
