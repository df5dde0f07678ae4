package transcode

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Made names a converted file by the SHA-256 of the file that it was made of, and by its own, both in hex. The zero
// value names no file.
type Made struct{ Of, Sum string }

// file is the name of the file in the folder.
func (m Made) file() string { return m.Of + "-" + m.Sum + ending }

const (
	ending    = ".mp3"
	underway  = ".making-"          // begins the name of an unfinished file
	nameBytes = 2*sha256.Size*2 + 1 // of Made.file without its ending
)

// parse is the Made in a file's name.
func parse(file string) (Made, bool) {
	name, is := strings.CutSuffix(file, ending)
	of, sum, both := strings.Cut(name, "-")
	if !is || !both || len(name) != nameBytes || len(of) != len(sum) || strings.Trim(of+sum, "0123456789abcdef") != "" {
		return Made{}, false
	}
	return Made{of, sum}, true
}

// Errors of a Cache that are not the fault of the file to be converted.
var (
	// ErrFull: there is no room for another converted file.
	ErrFull = errors.New("the folder of converted songs is full")
	// ErrDamaged: the converted file has changed since it was made.
	ErrDamaged = errors.New("the converted file is damaged; it is made anew")
	// ErrGone: the converted file is not there any more.
	ErrGone = errors.New("the converted file is gone; it is made anew")
	// ErrSource wraps why the file cannot be read now. Others can be converted.
	ErrSource = errors.New("it cannot be read now")
	// ErrTrouble wraps what is wrong with this machine. It may be over in a minute.
	ErrTrouble = errors.New("it cannot be converted now")
)

// Passing is why a file cannot be converted as things are now, for example because the machine was too busy: another time it
// may be.
type Passing struct{ error }

// Unwrap is the reason.
func (p Passing) Unwrap() error { return p.error }

// Cache is a folder of converted files. Any goroutine may call its methods, but only one at a time may call Make.
type Cache struct {
	dir    string
	most   int64  // bytes
	ffmpeg string // empty: there is none

	mu    sync.Mutex
	inUse map[string]int // open files, by name
}

// Open opens the folder, or makes it, and removes the unfinished files that a crash has left.
func Open(dir string, most int64) (*Cache, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder of converted songs: %w", err)
	}
	unfinished, err := filepath.Glob(filepath.Join(escape(dir), underway+"*"))
	if err != nil {
		return nil, fmt.Errorf("look for unfinished files: %w", err)
	}
	for _, file := range unfinished {
		_ = os.Remove(file) // if it fails, the next start tries again
	}
	return &Cache{dir: dir, most: most, ffmpeg: find(), inUse: map[string]int{}}, nil
}

// CanMake says whether ffmpeg was found at the start. Files that were made before can be opened without it.
func (c *Cache) CanMake() bool { return c.ffmpeg != "" }

// escape keeps a path's characters from being a pattern.
func escape(path string) string {
	if filepath.Separator == '\\' {
		return path // Windows has no escapes, and no * or ? in names
	}
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}

// Entry is a converted file that is there.
type Entry struct {
	Made  Made
	Bytes int64
	Used  time.Time
}

// entries lists all converted files.
func (c *Cache) entries() ([]Entry, error) { return entries(c.dir) }

func entries(dir string) ([]Entry, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read the folder of converted songs: %w", err)
	}
	var entries []Entry
	for _, file := range files {
		made, is := parse(file.Name())
		if !is {
			continue
		}
		if info, err := file.Info(); err == nil && info.Mode().IsRegular() {
			entries = append(entries, Entry{made, info.Size(), info.ModTime()})
		}
	}
	return entries, nil
}

// Has says which files are there.
func (c *Cache) Has() (map[Made]bool, error) { return In(c.dir) }

// In is Cache.Has for one who only reads the folder.
func In(dir string) (map[Made]bool, error) {
	all, err := entries(dir)
	if err != nil {
		return nil, err
	}
	has := make(map[Made]bool, len(all))
	for _, e := range all {
		has[e.Made] = true
	}
	return has, nil
}

// Evict says which entries must go to make room for need more bytes below most: those used longest ago, and none that
// is in use.
func Evict(entries []Entry, need, most int64, inUse func(Made) bool) (gone []Made, fits bool) {
	total := need
	for _, e := range entries {
		total += e.Bytes
	}
	oldest := slices.SortedFunc(slices.Values(entries), func(a, b Entry) int {
		return cmp.Or(a.Used.Compare(b.Used), cmp.Compare(a.Made.file(), b.Made.file()))
	})
	for _, e := range oldest {
		if total <= most {
			break
		}
		if inUse(e.Made) {
			continue
		}
		gone, total = append(gone, e.Made), total-e.Bytes
	}
	return gone, total <= most
}

// Room says whether there is room to convert a song that nobody has asked for. No other song is removed for it.
func (c *Cache) Room() bool {
	entries, err := c.entries()
	total := int64(0)
	for _, e := range entries {
		total += e.Bytes
	}
	return err == nil && total < c.most/20*19
}

// Open opens a converted file after checking that it is undamaged. The file is not removed until the caller closes it.
func (c *Cache) Open(made Made) (io.ReadSeekCloser, error) {
	path := filepath.Join(c.dir, made.file())
	f, err := read(path, made)
	if errors.Is(err, ErrDamaged) {
		_ = os.Remove(path) // or it would be opened again
	}
	if err != nil {
		return nil, err
	}
	now := time.Now()
	_ = os.Chtimes(path, now, now) // it was used just now
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inUse[made.file()]++
	return &open{File: f, cache: c, name: made.file()}, nil
}

// Read is Cache.Open for one who only reads the folder: it changes nothing there.
func Read(dir string, made Made) (io.ReadSeekCloser, error) {
	f, err := read(filepath.Join(dir, made.file()), made)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func read(path string, made Made) (*os.File, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrGone
	}
	if err != nil {
		return nil, fmt.Errorf("open a converted song: %w", err)
	}
	sum, err := hash(context.Background(), f)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err == nil && sum != made.Sum {
		err = ErrDamaged
	} else if err != nil {
		err = fmt.Errorf("read a converted song: %w", err)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

type open struct {
	*os.File
	cache *Cache
	name  string
	once  sync.Once
}

// Close closes the file, which may be removed from then on.
func (o *open) Close() error {
	o.once.Do(func() {
		o.cache.mu.Lock()
		defer o.cache.mu.Unlock()
		if o.cache.inUse[o.name]--; o.cache.inUse[o.name] == 0 {
			delete(o.cache.inUse, o.name)
		}
	})
	return o.File.Close()
}

func hash(ctx context.Context, r io.Reader) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, patient{ctx, r}); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
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

// tooLarge: a file of that many bytes cannot be kept, whatever else is removed.
type tooLarge int64

func (t tooLarge) Error() string {
	return fmt.Sprintf("as mp3 it has %d MB, more than all converted songs may have: --converted-max allows more", int64(t)>>20)
}

// keep moves a finished file to its place. wanted: others may be removed for it.
func (c *Cache) keep(tmp string, made Made, wanted bool) error {
	info, err := os.Stat(tmp)
	if err != nil {
		return err
	}
	if info.Size() > c.most {
		return tooLarge(info.Size())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	entries, err := c.entries()
	if err != nil {
		return err
	}
	gone, fits := Evict(entries, info.Size(), c.most, func(m Made) bool { return c.inUse[m.file()] > 0 })
	if len(gone) > 0 && !wanted {
		return ErrFull
	}
	if !fits {
		return ErrFull
	}
	for _, m := range gone {
		if err := os.Remove(filepath.Join(c.dir, m.file())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := os.Rename(tmp, filepath.Join(c.dir, made.file())); err != nil {
		return err
	}
	return syncFolder(c.dir)
}

// syncFolder writes the folder's new names to the disk, if the system can.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	_ = f.Sync() // Windows cannot
	return f.Close()
}
