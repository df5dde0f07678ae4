package catalog

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"conga/actors/catalog/library"
	"conga/actors/internal/space"
	"conga/actors/internal/transcode"
	"conga/messages"
)

const (
	// incoming is the subfolder of the uploads in which a file stays until it was checked. No look sees it.
	incoming = ".incoming"
	// unchecked begins the names of such files.
	unchecked = "upload-"
	// mostUploads is how many files are taken, however small.
	mostUploads = 10_000
	// keepsFree is how much of the disk uploads leave free, because the log may be on it, too.
	keepsFree = 1 << 30
	// piece is how many bytes are written before the disk's room is looked at again.
	piece = 4 << 20
)

// UploadsConfig is what Uploads need. All but Converted must be set.
type UploadsConfig struct {
	Dir       string // the songs folder
	Largest   int64  // bytes of one file
	Most      int64  // bytes of all that were brought
	Converted *transcode.Cache

	Known func(context.Context) (library.State, error)        // the catalog now
	Bring func(context.Context, *messages.BringSong) error    // tells the catalog, which logs it
	Free  func(dir string) (int64, error)                     // nil: what the system says
	Own   func(root *os.Root, from, to string) (exists error) // nil: moves a file to a name that no other has
}

// Uploads puts songs that people bring into a subfolder of the songs folder. A file is seen only once it is whole, checked
// and on the disk. No file is ever replaced. It is safe for concurrent use.
type Uploads struct {
	cfg UploadsConfig

	mu      sync.Mutex
	line    []*turn // those that have come whole
	waiting int64   // bytes, and
	files   int     // files that are under way
	there   usage
	cleaned bool
}

// NewUploads returns Uploads, and removes unfinished files that a crash has left.
func NewUploads(cfg UploadsConfig) *Uploads {
	if cfg.Free == nil {
		cfg.Free = space.Free
	}
	if cfg.Own == nil {
		cfg.Own = moveNew
	}
	u := &Uploads{cfg: cfg}
	if root, err := os.OpenRoot(u.dir()); err == nil { // else the folder is made with the first song
		u.clean(root)
		_ = root.Close()
	}
	return u
}

// Upload is a song that somebody brings.
type Upload struct {
	ID     string // by which Place knows it; may be empty
	Name   string // of the file, as they call it
	Bytes  int64
	By     string
	Person string
	AtUs   int64
}

func (u *Uploads) dir() string { return filepath.Join(u.cfg.Dir, UploadFolder) }

// Converts says whether other music than mp3 is taken.
func (u *Uploads) Converts() bool { return u.cfg.Converted != nil && u.cfg.Converted.CanMake() }

// clean removes unfinished files, once, while no upload is under way yet.
func (u *Uploads) clean(root *os.Root) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.cleaned {
		return
	}
	u.cleaned = true
	entries, _ := fs.ReadDir(root.FS(), incoming) // if it cannot be read, there is none
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), unchecked) {
			_ = root.Remove(path.Join(incoming, entry.Name()))
		}
	}
}

// May says why a file of that name and size would be refused. It is asked before the file is sent.
func (u *Uploads) May(ctx context.Context, name string, size int64) error {
	root, _, err := u.open(ctx, name, size)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	return u.room(root, size)
}

// Take takes a song, and returns it once it is in the log and can be requested. The error is a
// *messages.UploadRefused; then nothing of the file is left.
func (u *Uploads) Take(ctx context.Context, said Upload, body io.Reader) (*messages.Song, error) {
	root, name, err := u.open(ctx, said.Name, said.Bytes)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	if err := u.reserve(root, said.Bytes); err != nil {
		return nil, err
	}
	defer u.release(said.Bytes)
	temporary := path.Join(incoming, unchecked+rand.Text()+".part")
	f, err := root.OpenFile(temporary, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, cannotWrite(err)
	}
	defer func() { _ = root.Remove(temporary) }() // fails if the file was moved to its place, which is right
	defer func() { _ = f.Close() }()              // the file was synced, if it was taken
	sum, err := u.receive(ctx, f, body, said.Bytes)
	if err != nil {
		return nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, cannotWrite(err)
	}
	checking, done, err := u.await(ctx, said.ID)
	if err != nil {
		return nil, err
	}
	defer done()
	song, err := u.admit(checking, root, f, temporary, name, sum, said)
	return song, broken(checking, err)
}

// open opens the folder, if a file of that name and size may come there.
func (u *Uploads) open(ctx context.Context, said string, size int64) (*os.Root, string, error) {
	name, err := uploadName(said, u.Converts())
	switch {
	case err != nil:
		return nil, "", err
	case size <= 0:
		return nil, "", unfit("the file is empty")
	case size > u.cfg.Largest:
		return nil, "", refuse(messages.UploadTooLarge, "it has %s, and this radio takes files of at most %s", megabytes(size), megabytes(u.cfg.Largest))
	}
	state, err := u.cfg.Known(ctx)
	if err != nil {
		return nil, "", busy()
	}
	if err := u.reachable(state); err != nil {
		return nil, "", err
	}
	for _, dir := range []string{u.dir(), filepath.Join(u.dir(), incoming)} {
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, "", cannotWrite(err)
		}
	}
	root, err := os.OpenRoot(u.dir())
	if err != nil {
		return nil, "", cannotWrite(err)
	}
	u.clean(root)
	return root, name, nil
}

// reachable says why nothing may be put into the songs folder now. A disk that is not mounted leaves an empty folder. A song
// in it would hide that all others are only away, and would itself be hidden when the disk is back.
func (u *Uploads) reachable(state library.State) error {
	away := state.Away
	if folder, why := state.Folders.Of(path.Join(UploadFolder, "x")); folder != "" {
		away = why
	}
	if state.Songs.Len() > 0 && away == "" && isEmpty(u.cfg.Dir) {
		away = "the songs folder is empty"
	}
	if away == "" && Check(u.cfg.Dir) != nil { // Check's words are for the operator
		away = "the songs folder cannot be read"
	}
	if away == "" {
		return nil
	}
	return refuse(messages.UploadAway, "the radio's songs are away for now (%s): try again when it plays them", away)
}

// receive writes the body, which must have exactly size bytes, and returns its hash.
func (u *Uploads) receive(ctx context.Context, f io.Writer, body io.Reader, size int64) (sum string, err error) {
	hash, disk := sha256.New(), &diskWriter{w: f}
	for left := size; left > 0; left -= piece {
		_, err := io.CopyN(io.MultiWriter(disk, hash), patient{ctx, body}, min(left, piece))
		switch {
		case disk.err != nil:
			return "", cannotWrite(disk.err)
		case err != nil:
			return "", cut()
		}
		if free, err := u.cfg.Free(u.dir()); err == nil && free < keepsFree {
			return "", noRoom()
		}
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// diskWriter remembers errors of the disk, to tell them from errors of the line.
type diskWriter struct {
	w   io.Writer
	err error
}

func (d *diskWriter) Write(b []byte) (n int, err error) {
	n, d.err = d.w.Write(b)
	return n, d.err
}

// admit checks the file and moves it to its place.
func (u *Uploads) admit(ctx context.Context, root *os.Root, f *os.File, temporary, name, sum string, said Upload) (*messages.Song, error) {
	state, err := u.cfg.Known(ctx)
	if err != nil {
		return nil, busy()
	}
	if err := u.reachable(state); err != nil {
		return nil, err
	}
	if known := u.same(ctx, state, f, said.Bytes, sum); known != "" {
		return nil, refuse(messages.UploadKnown, "this song is here already: PLAY %s asks for it", known)
	}
	taken, err := namesIn(root)
	if err != nil {
		return nil, cannotWrite(err)
	}
	for range maxNumber {
		free := freeName(name, taken)
		if free == "" {
			break
		}
		song, err := u.check(ctx, f, temporary, free)
		if err != nil {
			return nil, err
		}
		if err := u.cfg.Own(root, temporary, free); err == nil {
			u.arrived(said.Bytes)
			return song, u.tell(ctx, root, free, &messages.BringSong{
				Song: song, Sum: sum, ListenerName: said.By, Person: said.Person, AtUnixUs: said.AtUs,
			})
		} else if !errors.Is(err, fs.ErrExist) {
			return nil, cannotWrite(err)
		}
		taken[looksLike(free)] = true // another program has just made this file
	}
	return nil, unfit("there are too many songs of that name: give the file another")
}

// check says whether a song of that name can be played, by the code that judges all songs.
func (u *Uploads) check(ctx context.Context, f *os.File, temporary, name string) (*messages.Song, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, cannotWrite(err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, cannotWrite(err)
	}
	song, _, reason, changed := judgeFile(ctx, f, found{path.Join(UploadFolder, name), info.Size(), info.ModTime()}, u.Converts())
	switch {
	case ctx.Err() != nil:
		return nil, cut()
	case changed:
		return nil, busy()
	case song == nil:
		return nil, unfit("it cannot be played: " + strings.TrimPrefix(reason, "it cannot be played: "))
	case song.GetForm() != messages.Song_FORM_OTHER:
		return song, nil
	}
	switch err := u.cfg.Converted.Probe(ctx, filepath.Join(u.dir(), filepath.FromSlash(temporary))); {
	case ctx.Err() != nil:
		return nil, cut()
	case errors.Is(err, transcode.ErrTrouble):
		return nil, busy()
	case err != nil:
		return nil, unfit("it cannot be played: " + err.Error())
	}
	return song, nil
}

// tell writes the name to the disk, and then the song into the log. If the log does not take it, the file is removed.
func (u *Uploads) tell(ctx context.Context, root *os.Root, name string, cmd *messages.BringSong) error {
	syncRoot(root)
	if err := u.cfg.Bring(context.WithoutCancel(ctx), cmd); err != nil {
		_ = root.Remove(name) // if the log has it after all, the next look finds it gone
		return busy()
	}
	return nil
}

func refuse(fault messages.UploadFault, format string, args ...any) error {
	return &messages.UploadRefused{Fault: fault, Reason: fmt.Sprintf(format, args...)}
}

func busy() error { return refuse(messages.UploadAway, "the radio is busy: try again in a moment") }
func cut() error  { return refuse(messages.UploadCut, "not all of the file came: try again") }

func noRoom() error {
	return refuse(messages.UploadNoRoom, "the radio's disk has no room for it: its host must make some")
}

// cannotWrite is the refusal if the disk cannot be written.
func cannotWrite(err error) error {
	if errors.Is(err, syscall.ENOSPC) || isQuota(err) {
		return noRoom()
	}
	return refuse(messages.UploadAway, "the radio cannot keep it (%s): its host must let conga write into the songs folder", cause(err))
}

func megabytes(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%d bytes", n)
	}
	return strings.Replace(fmt.Sprintf("%.1f MB", float64(n)/(1<<20)), ".0 ", " ", 1)
}
