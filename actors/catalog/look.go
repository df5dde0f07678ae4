package catalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"conga/actors/internal/mp3"
	"conga/messages"
)

const (
	// oldEnough: a file that nobody has touched for so long is not being copied any more.
	oldEnough = 2 * time.Second
	// filesALook is how many files one look reads at most, so that the first songs of a
	// large folder can be requested before the last ones are read.
	filesALook = 32
	// shortPieces is how many frames the pieces of a damaged song have at least, on average: two or
	// three in a row that look like frames are found in any large file.
	shortPieces = 8
)

// file is what the catalog remembers of a file between two looks. It is immutable.
type file struct {
	size     int64
	modified int64     // unix µs
	since    time.Time // when it was first seen like this

	judged bool           // as it is; else song and reason are those of its former self
	song   *messages.Song // nil if it cannot be played or was never judged
	reason string         // why it cannot be played
}

// sighting is what one look at the folder saw. It is immutable.
type sighting struct {
	files  map[string]file
	copied int   // files that are left for later because somebody still writes them
	unread int   // files that are left for the next look because this one has read enough
	err    error // the folder could not be read: files is what was known before
	gone   bool  // with err: nothing in the folder can be opened
}

// look looks at dir. Files that are as they were in known are not read again, and
// those that somebody still writes are not read yet. It ends early when ctx ends.
func look(ctx context.Context, dir string, known map[string]file, settle time.Duration, now time.Time) sighting {
	entries, err := os.ReadDir(dir)
	if err != nil {
		s := sighting{files: known, err: err}
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENOTDIR) {
			s.files, s.gone = nil, true
		}
		return s
	}
	s := sighting{files: make(map[string]file)}
	read := 0
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasPrefix(name, ".") || !strings.EqualFold(filepath.Ext(name), ".mp3") || entry.IsDir() {
			continue
		}
		if reason := badName(name); reason != "" {
			// The name itself cannot travel: its quoted form stands for it.
			name = strings.Trim(strconv.QuoteToASCII(name), `"`)
			s.files[name] = file{judged: true, reason: reason}
			continue
		}
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		if err != nil {
			if _, linkErr := os.Lstat(path); linkErr == nil { // else it has gone just now
				s.files[name] = file{judged: true, reason: "it cannot be opened: " + cause(err)}
			}
			continue
		}
		if info.IsDir() {
			continue
		}
		f := file{size: info.Size(), modified: info.ModTime().UnixMicro(), since: now}
		if before, ok := known[name]; ok {
			f.song, f.reason = before.song, before.reason
			if before.size == f.size && before.modified == f.modified {
				f.since, f.judged = before.since, before.judged
			}
		}
		switch {
		case f.judged:
		case now.Sub(f.since) < settle && now.Sub(info.ModTime()) < oldEnough:
			s.copied++
		case read == filesALook || ctx.Err() != nil:
			s.unread++
		default:
			read++
			song, reason, changed := judge(ctx, path, name, info)
			switch {
			case ctx.Err() != nil:
				s.unread++
			case changed:
				f.since = now
				s.copied++
			default:
				f.judged, f.song, f.reason = true, song, reason
			}
		}
		s.files[name] = f
	}
	return s
}

// report is what the sighting says, in the words of the log.
func (s sighting) report() *messages.ReportSongs {
	r := &messages.ReportSongs{}
	for name, f := range s.files {
		switch {
		case f.song != nil:
			r.Songs = append(r.Songs, f.song)
		case f.reason != "":
			r.Rejected = append(r.Rejected, &messages.RejectedSong{Name: name, Reason: f.reason})
		}
	}
	// Sorted, because a report is kept as its events' cause.
	r.Songs, r.Rejected = byName(r.Songs), byName(r.Rejected)
	return r
}

// judge reads a whole file: a song, or the reason why it is none. changed: it was
// written to meanwhile, or could not be opened for want of something that others
// have to give back first; so it must be judged again.
func judge(ctx context.Context, path, name string, info fs.FileInfo) (song *messages.Song, reason string, changed bool) {
	defer func() {
		if broken := recover(); broken != nil {
			song, reason = nil, fmt.Sprintf("reading it went wrong: %v", broken)
		}
	}()
	f, err := openRegular(path)
	switch {
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, fs.ErrNotExist):
		return nil, "", true
	case err != nil:
		return nil, "it cannot be opened: " + cause(err), false
	}
	defer func() { _ = f.Close() }() // nothing was written

	music, err := mp3.ReadInfo(patient{ctx, f})
	if after, statErr := f.Stat(); statErr != nil || after.Size() != info.Size() || !after.ModTime().Equal(info.ModTime()) {
		return nil, "", true
	}
	switch {
	case info.Size() == 0:
		return nil, "it is empty", false
	case err != nil:
		return nil, "it cannot be played: " + cause(err), false
	case music.Skipped > music.AudioBytes && music.Pieces > 4 && music.Frames < shortPieces*music.Pieces:
		return nil, fmt.Sprintf("it is no music: %d of its %d bytes look like it, in %d pieces", music.AudioBytes, info.Size(), music.Pieces), false
	}
	title, artist := readTitle(f, info.Size())
	return &messages.Song{
		Name:           name,
		Title:          title,
		Artist:         artist,
		DurationUs:     music.Duration.Microseconds(),
		SampleRate:     int32(music.SampleRate),
		Frames:         music.Frames,
		AudioBytes:     music.AudioBytes,
		FileBytes:      info.Size(),
		ModifiedUnixUs: info.ModTime().UnixMicro(),
	}, "", false
}

// cause is err without the path, which the reader knows and a log should not hold.
func cause(err error) string {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		err = pathErr.Err
	}
	if s := err.Error(); utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(err.Error(), "?")
}

// patient reads until ctx ends.
type patient struct {
	ctx context.Context
	r   io.Reader
}

func (p patient) Read(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	return p.r.Read(b)
}

// remembered is the files that the log knows as songs: they need not be read again.
func remembered(state State) map[string]file {
	files := make(map[string]file, len(state.Songs))
	for _, song := range state.Songs {
		files[song.Name] = file{size: song.FileBytes, modified: song.ModifiedUnixUs, judged: true, song: song.message()}
	}
	return files
}
