package catalog

import (
	"cmp"
	"context"
	"io/fs"
	"iter"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

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
)

// again is the size of a file that each look looks at anew.
const again = -1

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

// sighting is what one look at the folder saw. It is immutable.
type sighting struct {
	files   map[string]file
	folders map[string]fs.FileInfo // subfolders that were seen
	unseen  messages.AwayFolders   // what was known of their files is in files
	next    time.Duration          // when one of the files that rest has rested enough; 0: there is none
	rests   int                    // how many such files there are
	away    string                 // why nothing of the folder can be seen; files is what was known before
	err     error                  // the folder could not be read because something ran out (open files): try again
	took    time.Duration          // to look, without reading what is new
}

// folder is what a look looks at, and what was seen of it before.
type folder struct {
	dir     string
	settle  time.Duration // how long every file must rest
	first   bool          // nothing was looked at before
	makes   bool          // what is not mp3 can be converted
	folders map[string]fs.FileInfo
	unseen  messages.AwayFolders
	watch   func(path string) // is called before a folder is read; nil: nobody watches
}

// looking is a look under way.
type looking struct {
	folder
	now    time.Time
	known  map[string]file
	saw    sighting
	report *messages.ReportSongs // what is not yet told
	tell   func(*messages.ReportSongs)
	unread []found
	there  bool // some file can be seen
}

// look looks at the folder and tells each batch of what is new, in the words of the log. Files that are as
// they were in known are not read again, and those that somebody still writes are not read yet. What
// is gone is told first. It ends early when ctx ends.
func look(ctx context.Context, at folder, known map[string]file, now time.Time, tell func(*messages.ReportSongs)) sighting {
	before := sighting{files: known, folders: at.folders, unseen: at.unseen}
	l := &looking{
		folder: at, now: now, known: known, tell: tell, report: &messages.ReportSongs{},
		saw: sighting{files: make(map[string]file, len(known))},
	}
	w := &walk{ctx: ctx, known: at.folders, lives: foldersOf(known), watch: at.watch, song: l.see}
	if w.watch == nil {
		w.watch = func(string) {}
	}
	err := w.root(at.dir)
	switch {
	case w.err != nil || scarce(err):
		before.err = cmp.Or(w.err, err)
		return before
	case err != nil:
		before.away = "the songs folder cannot be read: " + cause(err)
		return before
	case ctx.Err() != nil:
		return before
	}
	l.saw.folders, l.saw.unseen = w.folders, w.away
	for _, refused := range w.refused {
		l.refuse(refused)
	}
	for name, f := range known {
		if folder, _ := w.away.Of(name); folder != "" {
			l.saw.files[name] = f
		}
	}
	switch {
	case l.there || len(known) == 0:
	case w.broken != nil: // links into a folder that is away
		before.away = "the files in the songs folder cannot be opened: " + cause(w.broken)
		return before
	case len(l.saw.files) == 0:
		before.away = "the songs folder is empty"
		return before
	}
	l.compare()
	l.saw.took = time.Since(now)
	l.read(ctx)
	return l.saw
}

// refuse reports what is left out for its name, or because it cannot be opened.
func (l *looking) refuse(r refusal) {
	before, seen := l.known[r.name]
	switch {
	case r.again:
		before = file{size: again}
	case seen && before.size != again:
		l.saw.files[r.name] = before
		return
	default:
		before = file{}
	}
	l.reject(r.name, r.reason, before)
}

func (l *looking) reject(name, reason string, f file) {
	f.verdict = told
	l.saw.files[name] = f
	l.report.Rejected = append(l.report.Rejected, &messages.RejectedSong{Name: name, Reason: reason})
}

// see notes a file, and whether it is to be read.
func (l *looking) see(found found) {
	l.there = true
	f := seen(l.known[found.name], found, l.now, l.first)
	switch rested := f.rested(l.now); {
	case f.verdict == told:
	case rested < l.settle:
		l.saw.wait(l.settle - rested)
	case f.verdict == unread:
		l.unread = append(l.unread, found)
	case rested < f.rest:
		l.saw.wait(f.rest - rested)
	default:
		l.report.Songs = append(l.report.Songs, f.song)
		f.verdict, f.song, f.rest = told, nil, 0
	}
	l.saw.files[found.name] = f
}

// compare reports what is gone, and which subfolders cannot be seen any more or again.
func (l *looking) compare() {
	for name := range l.known {
		if _, still := l.saw.files[name]; !still {
			l.report.Gone = append(l.report.Gone, name)
		}
	}
	slices.Sort(l.report.Gone)
	for _, name := range slices.Sorted(maps.Keys(l.saw.unseen)) {
		if why := l.saw.unseen[name]; l.unseen[name] != why {
			l.report.FoldersAway = append(l.report.FoldersAway, &messages.SongsAway{Folder: name, Reason: why})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.unseen)) {
		if _, still := l.saw.unseen[name]; !still {
			l.report.FoldersBack = append(l.report.FoldersBack, name)
		}
	}
	if len(l.report.GetGone())+len(l.report.GetSongs())+len(l.report.GetRejected()) > lastBatch {
		for part := range parts(l.report) {
			l.tell(part)
		}
		l.report = &messages.ReportSongs{}
	}
}

// read reads the files that are new or have changed.
func (l *looking) read(ctx context.Context) {
	batch, began := firstBatch, time.Now()
	for i, found := range l.unread {
		song, music, reason, changed := judge(ctx, l.dir, found, l.makes)
		if ctx.Err() != nil {
			return
		}
		l.judged(found.name, song, music, reason, changed)
		if n := len(l.report.Songs) + len(l.report.Rejected); i+1 < len(l.unread) && (n >= batch || n > 0 && time.Since(began) > batchTime) {
			l.tell(l.report)
			l.report, batch, began = &messages.ReportSongs{}, min(2*batch, lastBatch), time.Now()
		}
	}
	l.tell(l.report)
}

// judged notes what judge said of a file.
func (l *looking) judged(name string, song *messages.Song, music mp3.Info, reason string, changed bool) {
	f := l.saw.files[name]
	switch {
	case changed:
		f.since = l.now
		l.saw.wait(l.settle)
	case song == nil:
		if strings.HasPrefix(reason, cannotOpen) { // no change of the file would tell that it can
			f.size = again
		}
		l.reject(name, reason, f)
		return
	default:
		if f.rest = mustRest(music, path.Base(name), f.history); f.rest > f.rested(l.now) {
			f.verdict, f.song = unfinished, song
			l.saw.wait(f.rest - f.rested(l.now))
		} else {
			f.verdict, f.rest = told, 0
			l.report.Songs = append(l.report.Songs, song)
		}
	}
	l.saw.files[name] = f
}

// parts are reports of at most lastBatch names, what is gone first: others write to the log
// between them, so that no song has to wait until 20,000 files are gone.
func parts(whole *messages.ReportSongs) iter.Seq[*messages.ReportSongs] {
	return func(yield func(*messages.ReportSongs) bool) {
		folders := &messages.ReportSongs{FoldersAway: whole.GetFoldersAway(), FoldersBack: whole.GetFoldersBack()}
		if proto.Size(folders) > 0 && !yield(folders) {
			return
		}
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

// seen is what is known of the file now that it was found so.
func seen(before file, found found, now time.Time, first bool) file {
	f := file{size: found.size, modified: found.modified.UnixMicro(), since: now}
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
func remembered(state State, makes bool) map[string]file {
	files := make(map[string]file, state.Songs.Len()+state.Rejected.Len())
	for refused := range state.Rejected.All() {
		files[refused.Name] = file{size: again, verdict: told}
		if refused.FileBytes > 0 {
			files[refused.Name] = file{size: refused.FileBytes, modified: refused.ModifiedUnixUs, verdict: told}
		}
	}
	for song := range state.Songs.All() {
		if song.Form == messages.Song_FORM_OTHER && !makes { // it was a song while there was an ffmpeg
			files[song.Name] = file{size: again, verdict: told}
			continue
		}
		files[song.Name] = file{size: song.FileBytes, modified: song.ModifiedUnixUs, verdict: told}
	}
	return files
}
