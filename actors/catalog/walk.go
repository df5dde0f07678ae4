package catalog

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"conga/messages"
)

const (
	// maxFolders is how many subfolders are looked into. With links, a few folders can have endlessly many paths.
	maxFolders = 20_000
	// maxDepth is how deep folders may be nested.
	maxDepth = 32
)

// notMusic are folders that systems and other programs keep beside the music; the owner of a disk may not
// even read some of them.
var notMusic = map[string]bool{"lost+found": true, "System Volume Information": true, "$RECYCLE.BIN": true, "#recycle": true, "@eaDir": true}

// walk goes through the songs folder and its subfolders, in the order of their names. It follows links to folders,
// except to a folder that the link lies in. What cannot be seen now is away, not gone.
type walk struct {
	ctx   context.Context
	known map[string]fs.FileInfo // the folders as they were at the last look, by name; the first look knows none
	lives map[string]bool        // names of the folders with known songs
	watch func(path string)      // is called before a folder is read, so that no later change is missed

	song    func(found) // gets each file that may be a song, so that walk need not keep 20,000 of them
	refused []refusal
	away    messages.AwayFolders   // folders that cannot be seen
	folders map[string]fs.FileInfo // folders that were seen
	most    bool                   // maxFolders was reached
	broken  error                  // of a link that leads nowhere
	err     error                  // something ran out, and this walk does not count
}

// found is a file that may be a song.
type found struct {
	name     string // its path in the songs folder, with slashes
	size     int64
	modified time.Time
}

// in is the file's path if dir is the songs folder.
func (f found) in(dir string) string { return filepath.Join(dir, filepath.FromSlash(f.name)) }

// refusal is a file or folder that is left out. Its name may be a quoted one.
type refusal struct {
	name, reason string
	again        bool // the reason may go away without a change of the file
}

// root walks through everything. Its error is that of the songs folder itself.
func (w *walk) root(dir string) error {
	w.away, w.folders = messages.AwayFolders{}, map[string]fs.FileInfo{}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	return w.folder("", dir, []fs.FileInfo{info})
}

// folder reads the folder called name; above has the folders that it lies in, and itself as the last.
func (w *walk) folder(name, dir string, above []fs.FileInfo) error {
	w.watch(dir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	w.folders[name] = above[len(above)-1]
	for _, entry := range entries {
		if w.err != nil || w.ctx.Err() != nil {
			return nil
		}
		base := entry.Name()
		song := messages.SongEnding(base) != ""
		if strings.HasPrefix(base, ".") || !song && entry.Type().IsRegular() {
			continue
		}
		w.entry(path.Join(name, base), filepath.Join(dir, base), entry, song, above)
	}
	return nil
}

// entry looks at one file, link or subfolder. song says that its name is a song's.
func (w *walk) entry(name, at string, entry fs.DirEntry, song bool, above []fs.FileInfo) {
	info, err := entry.Info()
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		info, err = os.Stat(at)
	}
	switch {
	case err != nil && scarce(err):
		w.err = err
	case err != nil && song:
		if _, gone := os.Lstat(at); gone == nil { // else it was removed just now
			w.refuse(name, cannotOpen+cause(err), true)
			w.broken = err
		}
	case err != nil:
		w.unseen(name, cause(err))
	case info.IsDir():
		w.subfolder(name, at, info, above)
	case !song:
	case badName(name) != "":
		w.refuse(name, badName(name), false)
	default:
		w.song(found{name, info.Size(), info.ModTime()})
	}
}

func (w *walk) subfolder(name, at string, info fs.FileInfo, above []fs.FileInfo) {
	for _, up := range above {
		if os.SameFile(up, info) { // a link to a folder that it lies in, which is being read already
			return
		}
	}
	switch before := w.known[name]; {
	case notMusic[path.Base(name)]:
		return
	case badFolder(name) != "":
		w.refuse(name+"/", badFolder(name), false)
		return
	case len(above) > maxDepth:
		w.unseen(name, "it lies too deep, in "+strconv.Itoa(maxDepth)+" folders")
		return
	case len(w.folders) >= maxFolders:
		if !w.most {
			w.most = true
			w.refuse(name+"/", "there are more than "+strconv.Itoa(maxFolders)+" folders: this and those behind it are left out", false)
		}
		w.unseen(name, "there are too many folders")
		return
	case before != nil && !os.SameFile(before, info) && isEmpty(at):
		w.unseen(name, "it is empty, and not the folder that it was: is its disk connected?")
		w.folders[name] = before
		return
	}
	if err := w.folder(name, at, append(above[:len(above):len(above)], info)); err != nil {
		switch {
		case scarce(err):
			w.err = err
		case errors.Is(err, fs.ErrNotExist): // removed just now
		default:
			w.unseen(name, cause(err))
			if !w.lives[name] {
				w.refuse(name+"/", "the folder cannot be read: "+cause(err), true)
			}
		}
	}
}

// unseen notes a folder that cannot be seen, but may have songs.
func (w *walk) unseen(name, why string) {
	if w.lives[name] {
		w.away[name] = why
	}
}

// refuse leaves out the file or folder. A name that cannot be sent is quoted.
func (w *walk) refuse(name, reason string, again bool) {
	if !isPlain(name) {
		folder, base := path.Split(name)
		name = strings.ToValidUTF8(folder, "?") + strings.Trim(strconv.QuoteToASCII(base), `"`)
		if !isPlain(name) || base == "" {
			name = strings.Trim(strconv.QuoteToASCII(folder+base), `"`)
		}
	}
	if len(name) > messages.MaxSongName {
		name = strings.ToValidUTF8(name[:messages.MaxSongName], "") + "…"
	}
	w.refused = append(w.refused, refusal{name, reason, again})
}

// scarce says whether the error means that the system has run out of something for now.
func scarce(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOMEM)
}

// isEmpty says whether there is nothing at all in the folder.
func isEmpty(dir string) bool {
	f, err := os.Open(dir)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // nothing was written
	_, err = f.Readdirnames(1)
	return err != nil
}

// foldersOf names all folders in which the files lie.
func foldersOf(known map[string]file) map[string]bool {
	folders := map[string]bool{}
	for name := range known {
		for at := strings.LastIndexByte(name, '/'); at > 0 && !folders[name[:at]]; at = strings.LastIndexByte(name[:at], '/') {
			folders[name[:at]] = true
		}
	}
	return folders
}
