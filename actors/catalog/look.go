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

	"conga/actors/catalog/library"
	"conga/actors/internal/mp3"
	"conga/messages"
)

const (
	// firstBatch is how many files are read before they are reported; each further batch is twice
	// as large. So the first songs of a large folder can be requested at once, and the whole folder takes few commits.
	firstBatch = 32
	// lastBatch is how many files are read at most before they are reported, and batchTime how
	// long that may take.
	lastBatch = 512
	batchTime = time.Second
)

// again is a size that no file has, so that the next look reads the file again.
const again = -1

// verdict is what is known of a file in its present state.
type verdict int

const (
	unread     verdict = iota // it was not read yet, because it may still be written
	unfinished                // it was read, and looks as if its end were still to come
	told                      // it is in the log, as a song or as one that cannot be played
)

// file is what the catalog remembers of a file between two looks. It is immutable.
type file struct {
	size     int64
	modified int64     // unix µs
	since    time.Time // when it was first seen like this
	history  history
	verdict  verdict
	rest     time.Duration  // if unfinished: how long it must rest before it is told
	song     *messages.Song // if unfinished
}

// history is what was seen of a file before it was told.
type history int

const (
	lay   history = iota // it was there when the server started
	came                 // it came later
	grown                // it was seen to change
)

// sighting is what one look at the folder saw. It is immutable.
type sighting struct {
	files   map[string]file
	folders map[string]fs.FileInfo // subfolders that were seen
	unseen  messages.AwayFolders   // subfolders that cannot be seen; files has what was known of their files
	next    time.Duration          // until one of the resting files has rested enough; 0: there is none
	rests   int                    // how many files rest
	away    string                 // why nothing of the folder can be seen; then files has what was known before
	err     error                  // the folder could not be read because something ran out (open files): try again
	took    time.Duration          // the time of the look, without reading new files
}

// folder is what a look looks at, and what was seen of it before.
type folder struct {
	dir     string
	settle  time.Duration // how long every file must rest
	first   bool          // nothing was looked at before
	makes   bool          // other music than mp3 can be converted
	folders map[string]fs.FileInfo
	unseen  messages.AwayFolders
	watch   func(path string) // is called before a folder is read; nil: nobody watches
	// elsewhere are songs that do not lie here under their names.
	elsewhere *Elsewhere
}

// looking is a look under way.
type looking struct {
	folder
	now    time.Time
	known  map[string]file
	saw    sighting
	report *messages.ReportSongs // what was not told yet
	tell   func(*messages.ReportSongs)
	unread []found
	there  bool // some file can be seen
}

// look looks at the folder and tells what is new, batch by batch. Files that have not changed since known are
// not read again, and files that are still being written are not read yet. What is gone is told first. It ends
// early when ctx ends.
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
	for song := range at.elsewhere.arrived {
		l.has(song)
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
	case len(l.saw.files) == 0, !l.there && at.elsewhere.hidden(known, l.saw.files):
		before.away = "the songs folder is empty"
		return before
	}
	l.compare()
	l.saw.took = time.Since(now)
	l.read(ctx)
	return l.saw
}

// refuse reports what is left out because of its name, or because it cannot be opened.
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
	if songs := l.elsewhere.in(found); len(songs) > 0 {
		for _, song := range songs {
			l.has(song)
		}
		return
	}
	if l.elsewhere.has(found.name) {
		return
	}
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

// has notes a song that lies elsewhere, and need not be read, because its content is known.
func (l *looking) has(song *library.Song) {
	f, known := l.known[song.Name]
	if !known || f.size != song.FileBytes || f.modified != song.ModifiedUnixUs || f.verdict != told {
		f = file{size: song.FileBytes, modified: song.ModifiedUnixUs, since: l.now, verdict: told}
		l.report.Songs = append(l.report.Songs, song.Message())
	}
	l.saw.files[song.Name] = f
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

// judged notes the result of judge.
func (l *looking) judged(name string, song *messages.Song, music mp3.Info, reason string, changed bool) {
	f := l.saw.files[name]
	switch {
	case changed:
		f.since = l.now
		l.saw.wait(l.settle)
	case song == nil:
		if strings.HasPrefix(reason, cannotOpen) { // it may become readable without a change of the file
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

// parts splits a report into parts of at most lastBatch names, what is gone first. Others can write to the log
// between them, so that no song waits until 20,000 files are removed.
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

// seen is what is known of the file after it was found like this.
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

// rested is how long the file has not changed.
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

// remembered has the files that the log knows. Their songs need not be read again.
func remembered(state library.State, makes bool) map[string]file {
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
		if song.Form == messages.Song_FORM_MP3 && song.Sum == "" { // an older conga has read it
			files[song.Name] = file{size: again, verdict: told}
			continue
		}
		files[song.Name] = file{size: song.FileBytes, modified: song.ModifiedUnixUs, verdict: told}
	}
	return files
}
