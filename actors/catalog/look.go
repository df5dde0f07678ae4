package catalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"conga/actors/internal/mp3"
	"conga/messages"
)

const (
	// firstBatch is how many files are read before they are reported; each further batch is twice
	// as large. So the first songs of a large folder can be requested at once, and all cost few commits.
	firstBatch = 32
	// lastBatch is how many files are read at most before they are reported, and batchTime how
	// long that may take.
	lastBatch = 512
	batchTime = time.Second
	// shortPieces is how many frames the pieces of a damaged song have at least, on average: two or
	// three in a row that look like frames are found in any large file.
	shortPieces = 8
)

// again is the size of a file that each look looks at anew.
const again = -1

// cannotOpen begins the reason why a file is left out that may be a song all the same.
const cannotOpen = "it cannot be opened: "

// verdict is what is known of a file as it is now.
type verdict int

const (
	unread     verdict = iota // it was not read yet: it may still be written
	unfinished                // it was read, and it looks as if its end were still to come
	told                      // it is in the log: a song, or one that cannot be played
)

// file is what the catalog remembers of a file between two looks. It is immutable.
type file struct {
	size     int64
	modified int64     // unix µs
	since    time.Time // when it was first seen like this
	history  history
	verdict  verdict
	rest     time.Duration  // how long it must rest as it is before an unfinished one is told
	song     *messages.Song // of an unfinished one
}

// history is what was seen of a file before it was told.
type history int

const (
	lay   history = iota // it was there when the server started
	came                 // it came since
	grown                // it was seen to change
)

// mustRest is how long a file must rest before it is offered although it looks unfinished. A
// file that was seen to grow may pause because it is being uploaded over a busy line.
func mustRest(music mp3.Info, name string, seen history) time.Duration {
	table := music.Promised > 0 // it says how long the song will be
	switch {
	case temporary(name), music.Unfinished && table && seen == grown:
		return 2 * time.Minute
	case !table && seen == grown:
		return 15 * time.Second
	case music.Unfinished, !table && seen == came: // without one, a part may look whole
		return 5 * time.Second
	}
	return 0
}

// temporary says whether programs give such names to files that they are still writing.
func temporary(name string) bool {
	name = strings.ToLower(name)
	for _, end := range []string{".part.mp3", ".partial.mp3", ".tmp.mp3", ".temp.mp3", ".crdownload.mp3", ".download.mp3"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return strings.HasPrefix(name, "~")
}

// sighting is what one look at the folder saw. It is immutable.
type sighting struct {
	files  map[string]file
	next   time.Duration // when one of the files that rest has rested enough; 0: there is none
	rests  int           // how many such files there are
	away   string        // why nothing of the folder can be seen; files is what was known before
	err    error         // the folder could not be read because something ran out (open files): try again
	beside string        // what music there is that is no song, where there is no song
	took   time.Duration // to look, without reading what is new
}

// folder is what a look looks at.
type folder struct {
	dir    string
	settle time.Duration // how long every file must rest
	first  bool          // nothing was looked at before
}

// look looks at the folder and tells each batch of what is new, in the words of the log. Files that are as
// they were in known are not read again, and those that somebody still writes are not read yet. What
// is gone is told first. It ends early when ctx ends.
func look(ctx context.Context, at folder, known map[string]file, now time.Time, tell func(*messages.ReportSongs)) sighting {
	dir, settle := at.dir, at.settle
	entries, err := os.ReadDir(dir)
	if err != nil {
		s := sighting{files: known}
		if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOMEM) {
			s.err = err
		} else {
			s.away = "the songs folder cannot be read: " + cause(err)
		}
		return s
	}
	s := sighting{files: make(map[string]file, len(known))}
	report := &messages.ReportSongs{}
	reject := func(name, reason string, f file) {
		f.verdict = told
		s.files[name] = f
		report.Rejected = append(report.Rejected, &messages.RejectedSong{Name: name, Reason: reason})
	}
	there, broken := false, error(nil)
	var read []string
	infos := map[string]fs.FileInfo{}
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasPrefix(name, ".") || !strings.EqualFold(filepath.Ext(name), ".mp3") || entry.IsDir() {
			continue
		}
		if reason := badName(name); reason != "" {
			// The name itself cannot travel: its quoted form stands for it.
			name = strings.Trim(strconv.QuoteToASCII(name), `"`)
			if before, seen := known[name]; seen && before.size != again {
				s.files[name] = before
			} else {
				reject(name, reason, file{})
			}
			continue
		}
		path := filepath.Join(dir, name)
		info, err := os.Stat(path)
		if err != nil {
			if _, linkErr := os.Lstat(path); linkErr == nil { // else it has gone just now
				reject(name, cannotOpen+cause(err), file{size: again})
				broken = err
			}
			continue
		}
		if info.IsDir() {
			continue
		}
		there = true
		f := seen(known[name], info, now, at.first)
		switch rested := f.rested(now); {
		case f.verdict == told:
		case rested < settle:
			s.wait(settle - rested)
		case f.verdict == unread:
			read = append(read, name)
			infos[name] = info
		case rested < f.rest:
			s.wait(f.rest - rested)
		default:
			report.Songs = append(report.Songs, f.song)
			f.verdict, f.song, f.rest = told, nil, 0
		}
		s.files[name] = f
	}
	switch {
	case there || len(known) == 0:
	case broken != nil: // links into a folder that is away
		return sighting{files: known, away: "the files in the songs folder cannot be opened: " + cause(broken)}
	case len(s.files) == 0:
		return sighting{files: known, away: "the songs folder is empty"}
	}
	if !there && len(s.files) == 0 {
		s.beside = beside(ctx, dir)
	}
	for name := range known {
		if _, still := s.files[name]; !still {
			report.Gone = append(report.Gone, name)
		}
	}
	slices.Sort(report.Gone)
	if len(report.GetGone())+len(report.GetSongs())+len(report.GetRejected()) > lastBatch {
		for part := range parts(report) {
			tell(part)
		}
		report = &messages.ReportSongs{}
	}
	batch, began := firstBatch, time.Now()
	s.took = began.Sub(now)
	for i, name := range read {
		f, info := s.files[name], infos[name]
		song, music, reason, changed := judge(ctx, filepath.Join(dir, name), name, info)
		switch {
		case ctx.Err() != nil:
			return s
		case changed:
			f.since = now
			s.wait(settle)
		case song == nil:
			if strings.HasPrefix(reason, cannotOpen) { // no change of the file would tell that it can
				f.size = again
			}
			reject(name, reason, f)
			continue
		default:
			if f.rest = mustRest(music, name, f.history); f.rest > f.rested(now) {
				f.verdict, f.song = unfinished, song
				s.wait(f.rest - f.rested(now))
			} else {
				f.verdict, f.rest = told, 0
				report.Songs = append(report.Songs, song)
			}
		}
		s.files[name] = f
		if n := len(report.Songs) + len(report.Rejected); i+1 < len(read) && (n >= batch || n > 0 && time.Since(began) > batchTime) {
			tell(report)
			report, batch, began = &messages.ReportSongs{}, min(2*batch, lastBatch), time.Now()
		}
	}
	tell(report)
	return s
}

// parts are reports of at most lastBatch names, what is gone first: others write to the log
// between them, so that no song has to wait until 20,000 files are gone.
func parts(whole *messages.ReportSongs) iter.Seq[*messages.ReportSongs] {
	return func(yield func(*messages.ReportSongs) bool) {
		for gone := range slices.Chunk(whole.GetGone(), lastBatch) {
			if !yield(&messages.ReportSongs{Gone: gone}) {
				return
			}
		}
		for songs := range slices.Chunk(whole.GetSongs(), lastBatch) {
			if !yield(&messages.ReportSongs{Songs: songs}) {
				return
			}
		}
		for rejected := range slices.Chunk(whole.GetRejected(), lastBatch) {
			if !yield(&messages.ReportSongs{Rejected: rejected}) {
				return
			}
		}
	}
}

// seen is what is known of the file now that it looks like info.
func seen(before file, info fs.FileInfo, now time.Time, first bool) file {
	f := file{size: info.Size(), modified: info.ModTime().UnixMicro(), since: now}
	switch {
	case before.size == f.size && before.modified == f.modified:
		return before
	case before == (file{}) && !first:
		f.history = came
	case before != (file{}) && before.verdict != told:
		f.history = grown
	}
	return f
}

// rested is how long the file has been as it is.
func (f file) rested(now time.Time) time.Duration {
	return max(now.Sub(f.since), now.Sub(time.UnixMicro(f.modified)))
}

// wait notes a file that has to rest for d.
func (s *sighting) wait(d time.Duration) {
	s.rests++
	if s.next == 0 || d < s.next {
		s.next = d
	}
}

// remembered is the files that the log knows: the songs need not be read again.
func remembered(state State) map[string]file {
	files := make(map[string]file, state.Songs.Len()+state.Rejected.Len())
	for refused := range state.Rejected.All() {
		files[refused.Name] = file{size: again, verdict: told}
	}
	for song := range state.Songs.All() {
		files[song.Name] = file{size: song.FileBytes, modified: song.ModifiedUnixUs, verdict: told}
	}
	return files
}

// judge reads a whole file: a song and its music, or the reason why it is none. changed: it was
// written to meanwhile, or could not be opened for want of something that others
// have to give back first; so it must be judged again.
func judge(ctx context.Context, path, name string, info fs.FileInfo) (song *messages.Song, music mp3.Info, reason string, changed bool) {
	defer func() {
		if broken := recover(); broken != nil {
			song, reason = nil, fmt.Sprintf("reading it went wrong: %v", broken)
		}
	}()
	f, err := openRegular(path)
	switch {
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, fs.ErrNotExist):
		return nil, music, "", true
	case err != nil:
		return nil, music, cannotOpen + cause(err), false
	}
	defer func() { _ = f.Close() }() // nothing was written

	music, err = mp3.ReadInfo(patient{ctx, f})
	if after, statErr := f.Stat(); statErr != nil || after.Size() != info.Size() || !after.ModTime().Equal(info.ModTime()) {
		return nil, music, "", true
	}
	switch {
	case info.Size() == 0:
		return nil, music, "it is empty", false
	case err != nil:
		return nil, music, unplayable(f, err), false
	case music.Skipped > music.AudioBytes && music.Pieces > 4 && music.Frames < shortPieces*music.Pieces:
		return nil, music, fmt.Sprintf("it is not music: only %d of its %d bytes look like music, in %d pieces", music.AudioBytes, info.Size(), music.Pieces), false
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
	}, music, "", false
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
