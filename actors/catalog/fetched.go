package catalog

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"

	"conga/actors/catalog/library"
	"conga/actors/catalog/stock"
	"conga/actors/internal/space"
)

// Fetched is a folder of songs that came from the servers of a radio. Each file is named by its SHA-256, so no name from the
// network gets to the disk, and appears there whole, checked and synced. It is safe for concurrent use.
type Fetched struct {
	root *os.Root
	dir  string
	most int64 // bytes

	mu    sync.Mutex
	bytes map[string]int64 // by sum
	all   int64            // bytes
	lost  int              // files that were found damaged or gone
}

const (
	fetchedEnding = ".mp3"
	coming        = ".coming-" // begins the name of an unfinished file
)

var (
	// ErrNoRoom wraps why a song cannot be kept: the disk or the folder is full.
	ErrNoRoom = errors.New("there is no room for fetched songs")
	// ErrOtherContent: what came is not what was asked for.
	ErrOtherContent = errors.New("it is not what its sum says")
)

// OpenFetched opens the folder, or makes it, and removes unfinished files. It may have most bytes.
func OpenFetched(dir string, most int64) (*Fetched, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of fetched songs: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the folder of fetched songs: %w", err)
	}
	f := &Fetched{root: root, dir: dir, most: most, bytes: map[string]int64{}}
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read the folder of fetched songs: %w", err), root.Close())
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), coming) {
			_ = root.Remove(entry.Name()) // if it fails, the next start tries again
		}
		sum, is := strings.CutSuffix(entry.Name(), fetchedEnding)
		if info, err := entry.Info(); err == nil && is && isSum(sum) && info.Mode().IsRegular() {
			f.bytes[sum] = info.Size()
			f.all += info.Size()
		}
	}
	return f, nil
}

// isSum says whether the text is a SHA-256 in hex.
func isSum(text string) bool {
	return len(text) == 2*sha256.Size && strings.Trim(text, "0123456789abcdef") == ""
}

// Has says whether the song's content is there. It does not ask the disk. A nil folder has nothing.
func (f *Fetched) Has(song *library.Song) bool {
	content, known := stock.ContentOf(song)
	if f == nil || !known {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	size, is := f.bytes[content.Sum]
	return is && content.Fits(size)
}

// HasSum is Has for any size.
func (f *Fetched) HasSum(sum string) bool {
	if f == nil {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	_, is := f.bytes[sum]
	return is
}

// Lost is how many files were found damaged or gone. When it changes, songs may be missing that were there.
func (f *Fetched) Lost() int {
	if f == nil {
		return 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lost
}

// Open opens the file with that content, after checking it: other bytes under the same numbers would be noise to listeners. A file
// that is damaged is removed.
func (f *Fetched) Open(sum string) (*os.File, error) {
	file, err := openFetched(f.root, sum)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrOtherContent) {
		f.forget(sum)
	}
	if err != nil {
		return nil, errors.New(cause(err))
	}
	return file, nil
}

// OpenFetchedSong opens the file with that content in a folder of fetched songs, and changes nothing there: it may be another
// process's.
func OpenFetchedSong(dir, sum string) (*os.File, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }() // nothing was written
	return openFetched(root, sum)
}

func openFetched(root *os.Root, sum string) (*os.File, error) {
	if !isSum(sum) {
		return nil, fs.ErrNotExist
	}
	file, err := root.Open(sum + fetchedEnding)
	if err != nil {
		return nil, err
	}
	hash := sha256.New()
	if _, err = io.Copy(hash, file); err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err == nil && hex.EncodeToString(hash.Sum(nil)) != sum {
		err = ErrOtherContent
	}
	if err != nil {
		_ = file.Close() // nothing was written
		return nil, err
	}
	return file, nil
}

// forget removes a file that is of no use, if it is still there.
func (f *Fetched) forget(sum string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if bytes, is := f.bytes[sum]; is {
		_ = f.root.Remove(sum + fetchedEnding) // it would be found damaged again
		f.all -= bytes
		delete(f.bytes, sum)
		f.lost++
	}
}

// Take keeps what is played of the song, which body has. An error says why nothing was kept: ErrNoRoom, ErrOtherContent, or that of
// the body or the disk. It writes at most as many bytes as the song may have.
func (f *Fetched) Take(ctx context.Context, song *library.Song, body io.Reader) (err error) {
	content, known := stock.ContentOf(song)
	if !known || !isSum(content.Sum) || content.Least <= 0 {
		return ErrOtherContent
	}
	if err := f.room(content.Most); err != nil {
		return err
	}
	name := coming + rand.Text()
	part, err := f.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return f.unwritten(err)
	}
	defer func() { _ = f.root.Remove(name) }() // fails if it was moved to its place, which is right
	disk, hash := &diskWriter{w: part}, sha256.New()
	n, err := io.Copy(io.MultiWriter(disk, hash), io.LimitReader(patient{ctx, body}, content.Most+1))
	closed := errors.Join(part.Sync(), part.Close())
	switch {
	case disk.err != nil:
		return f.unwritten(disk.err)
	case err != nil:
		return err
	case !content.Fits(n) || hex.EncodeToString(hash.Sum(nil)) != content.Sum:
		return ErrOtherContent
	case closed != nil:
		return f.unwritten(closed)
	}
	if err := f.root.Rename(name, content.Sum+fetchedEnding); err != nil {
		return f.unwritten(err)
	}
	syncRoot(f.root)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all += n - f.bytes[content.Sum]
	f.bytes[content.Sum] = n
	return nil
}

// room says why there is no room for so many bytes more.
func (f *Fetched) room(bytes int64) error {
	f.mu.Lock()
	all := f.all
	f.mu.Unlock()
	if all+bytes > f.most {
		return fmt.Errorf("%w: they may have %s: --share-max allows more", ErrNoRoom, megabytes(f.most))
	}
	if free, err := space.Free(f.dir); err == nil && free < keepsFree {
		return fmt.Errorf("%w: the disk of %s is nearly full: make room on it", ErrNoRoom, f.dir)
	}
	return nil
}

func (f *Fetched) unwritten(err error) error {
	if errors.Is(err, syscall.ENOSPC) || isQuota(err) {
		return fmt.Errorf("%w: the disk of %s is full: make room on it", ErrNoRoom, f.dir)
	}
	return fmt.Errorf("write into the folder of fetched songs %s: %s", f.dir, cause(err))
}

// Prune removes the files that are not needed, if there is no room for so many bytes more, the largest first.
func (f *Fetched) Prune(bytes int64, needed func(sum string) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.all+bytes <= f.most {
		return
	}
	var spare []string
	for sum := range f.bytes {
		if !needed(sum) {
			spare = append(spare, sum)
		}
	}
	slices.SortFunc(spare, func(a, b string) int { return cmp.Or(cmp.Compare(f.bytes[b], f.bytes[a]), cmp.Compare(a, b)) })
	for _, sum := range spare {
		if f.all+bytes <= f.most {
			return
		}
		if f.root.Remove(sum+fetchedEnding) == nil {
			f.all -= f.bytes[sum]
			delete(f.bytes, sum)
		}
	}
}

// Close ends the use of the folder.
func (f *Fetched) Close() error { return f.root.Close() }
