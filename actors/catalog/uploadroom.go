package catalog

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"conga/actors/catalog/library"
	"conga/messages"
)

// usage is what was in the folder when it was counted.
type usage struct {
	files int
	bytes int64
	at    time.Time
}

// countEvery is the shortest time between two counts of the folder's files, so that many questions do not cost many looks at
// thousands of files.
const countEvery = 5 * time.Second

// room says why there is no room for so many bytes more.
func (u *Uploads) room(root *os.Root, size int64) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.fits(root, size)
}

// reserve is room, and reserves the bytes.
func (u *Uploads) reserve(root *os.Root, size int64) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if err := u.fits(root, size); err != nil {
		return err
	}
	u.waiting += size
	u.files++
	return nil
}

func (u *Uploads) release(size int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.waiting -= size
	u.files--
}

// arrived counts a file that was moved to its place.
func (u *Uploads) arrived(size int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.there.files++
	u.there.bytes += size
}

// fits is room; the caller holds mu. A file under way counts with its whole size from its beginning.
func (u *Uploads) fits(root *os.Root, size int64) error {
	if time.Since(u.there.at) > countEvery {
		files, sum, err := all(root)
		if err != nil {
			return cannotWrite(err)
		}
		u.there = usage{files, sum, time.Now()}
	}
	if u.there.files+u.files >= mostUploads || u.there.bytes+u.waiting+size > u.cfg.Most {
		return refuse(messages.UploadNoRoom, "people have brought as many songs as this radio takes: its host must remove some, or allow more (--uploads-max)")
	}
	if free, err := u.cfg.Free(u.dir()); err == nil && free-u.waiting-size < keepsFree {
		return noRoom()
	}
	return nil
}

// all counts the files of the folder that are not under way, and their bytes.
func all(root *os.Root) (files int, sum int64, err error) {
	err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil && name == ".":
			return err
		case err != nil: // an own subfolder of the operator, or a file that has just gone
			return nil
		case name == incoming:
			return fs.SkipDir
		case entry.IsDir():
			return nil
		}
		files++
		if info, err := entry.Info(); err == nil {
			sum += info.Size()
		}
		return nil
	})
	return files, sum, err
}

// namesIn are the names that files in the folder look like.
func namesIn(root *os.Root) (map[string]bool, error) {
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, err
	}
	names := make(map[string]bool, len(entries))
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), ".") {
			names[looksLike(entry.Name())] = true
		}
	}
	return names, nil
}

// moveNew moves a file to a new name in one step. If a file has the name already, the error is fs.ErrExist.
func moveNew(root *os.Root, from, to string) error {
	err := root.Link(from, to) // the caller removes the old name
	if err == nil || os.IsExist(err) {
		return err
	}
	return renameNew(root, from, to, err) // some file systems have no links: FAT
}

// syncRoot writes the folder's names to the disk, if the system can.
func syncRoot(root *os.Root) {
	if dir, err := root.Open("."); err == nil {
		_ = dir.Sync()
		_ = dir.Close()
	}
}

// same is the song that has this content; empty: none has.
func (u *Uploads) same(ctx context.Context, state library.State, f io.ReaderAt, size int64, sum string) string {
	for song := range state.Songs.All() {
		if song.FileBytes != size || ctx.Err() != nil {
			continue
		}
		if song.Sum != "" {
			if song.Sum == sum {
				return song.Name
			}
			continue
		}
		if brought, is := state.Brought.Find(song.Name); is {
			if brought.Sum == sum {
				return song.Name
			}
			continue
		}
		if other, err := openRegular(found{name: song.Name}.in(u.cfg.Dir)); err == nil {
			same := equal(patient{ctx, other}, io.NewSectionReader(f, 0, size))
			_ = other.Close()
			if same {
				return song.Name
			}
		}
	}
	return ""
}

// equal says whether both have the same bytes.
func equal(a, b io.Reader) bool {
	here, there := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, errA := io.ReadFull(a, here)
		m, errB := io.ReadFull(b, there)
		switch {
		case !bytes.Equal(here[:n], there[:m]):
			return false
		case errA != nil || errB != nil:
			return isEnd(errA) && isEnd(errB)
		}
	}
}

func isEnd(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
