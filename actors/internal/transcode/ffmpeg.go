package transcode

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"conga/messages/plain"
)

const (
	// kinds are the containers that ffmpeg accepts, whatever the file is called. Playlists are not among
	// them, because ffmpeg would open the files that they name.
	kinds = "mp3,flac,ogg,mov,wav,w64,aiff,asf,aac,ape,wv,tta"
	// maxMade is the longest mp3 that is made, in bytes: twelve hours.
	maxMade = 1 << 30
	// maxMemory is the largest piece of memory that ffmpeg takes at once.
	maxMemory = 256 << 20
	// maxSaid is how much of ffmpeg's messages is kept, in bytes.
	maxSaid = 4 << 10
	// aliveAfter is how long its pipe may stay open after ffmpeg was killed.
	aliveAfter = 5 * time.Second
)

// find is ffmpeg's path, empty if it is not installed.
func find() string {
	path, err := exec.LookPath("ffmpeg")
	if err != nil {
		return ""
	}
	if path, err = filepath.Abs(path); err != nil {
		return ""
	}
	return path
}

// patience is how long the conversion of a file of this size may take. A small computer with other work to do
// converts some 50 KB a second of the slowest kind.
func patience(size int64) time.Duration {
	return 5*time.Minute + time.Duration(size/50_000)*time.Second
}

// Make converts the file at path, unless that has been done. title and artist go into its tag.
// wanted: somebody waits for it, and others may be removed for it. An error that is no ErrFull, ErrSource or
// ErrTrouble, and not ctx's, says in plain words why the file cannot be converted; if it is Passing, for now.
func (c *Cache) Make(ctx context.Context, path, title, artist string, wanted bool) (Made, error) {
	made, err := c.make(ctx, path, title, artist, wanted)
	if ctx.Err() != nil {
		return Made{}, ctx.Err()
	}
	return made, err
}

func (c *Cache) make(ctx context.Context, path, title, artist string, wanted bool) (Made, error) {
	of, size, err := source(ctx, path)
	if err != nil {
		return Made{}, fmt.Errorf("%w: %w", ErrSource, err)
	}
	entries, err := c.entries()
	if err != nil {
		return Made{}, fmt.Errorf("%w: %w", ErrTrouble, err)
	}
	for _, e := range entries {
		if e.Made.Of != of {
			continue
		}
		if f, err := c.Open(e.Made); err == nil { // it is unharmed
			return e.Made, f.Close()
		}
	}
	tmp, err := os.CreateTemp(c.dir, underway+"*"+ending)
	if err != nil {
		return Made{}, fmt.Errorf("%w: %w", ErrTrouble, err)
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // fails if keep has moved it, which is right
	defer func() { _ = tmp.Close() }()           // Windows removes no open file
	if err := c.run(ctx, size, path, tmp.Name(), title, artist, wanted); err != nil {
		return Made{}, err
	}
	made := Made{Of: of}
	if made.Sum, err = hash(ctx, tmp); err == nil {
		err = errors.Join(tmp.Sync(), tmp.Close())
	}
	if err != nil {
		return Made{}, fmt.Errorf("%w: %w", ErrTrouble, err)
	}
	if again, _, err := source(ctx, path); err != nil || again != of {
		return Made{}, fmt.Errorf("%w: it was written to meanwhile", ErrSource)
	}
	if err := c.keep(tmp.Name(), made, wanted); err != nil {
		if _, large := errors.AsType[tooLarge](err); large { // --converted-max may be another at the next start
			return Made{}, Passing{err}
		}
		if errors.Is(err, ErrFull) {
			return Made{}, err
		}
		return Made{}, fmt.Errorf("%w: %w", ErrTrouble, err)
	}
	return made, nil
}

// source is the hash and the size of a file.
func source(ctx context.Context, path string) (string, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	info, err := f.Stat()
	if err != nil {
		return "", 0, err
	}
	sum, err := hash(ctx, f)
	return sum, info.Size(), err
}

// arguments are ffmpeg's. The bitrate is constant, because a line that just carries the music has no room for peaks.
func output(to, title, artist string) []string {
	return []string{
		"-map", "0:a:0", "-vn", "-sn", "-dn", "-map_metadata", "-1", "-metadata", "title=" + title, "-metadata", "artist=" + artist,
		"-af", "aformat=sample_rates=44100|48000:channel_layouts=mono|stereo",
		"-c:a", "libmp3lame", "-b:a", "192k", "-id3v2_version", "3", "-threads", "1",
		"-fs", strconv.Itoa(maxMade), "-f", "mp3", "-y", "file:" + to,
	}
}

// input are the arguments for ffmpeg's input.
func input(from string) []string {
	return []string{
		"-nostdin", "-hide_banner", "-loglevel", "error", "-max_alloc", strconv.Itoa(maxMemory),
		"-protocol_whitelist", "file", "-format_whitelist", kinds, "-threads", "1", "-i", "file:" + from,
	}
}

func (c *Cache) run(ctx context.Context, size int64, from, to, title, artist string, wanted bool) error {
	from, err := filepath.Abs(from)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrTrouble, err)
	}
	if to, err = filepath.Abs(to); err != nil {
		return fmt.Errorf("%w: %w", ErrTrouble, err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience(size))
	defer cancel()
	said, err := c.ffmpegs(ctx, wanted, from, output(to, title, artist)...)
	switch info, statErr := os.Stat(to); {
	case errors.Is(err, ErrTrouble):
		return err
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return Passing{fmt.Errorf("ffmpeg did not convert it within %v", patience(size))}
	case strings.Contains(said, "No space left on device"):
		return fmt.Errorf("%w: the disk of the converted songs is full", ErrTrouble)
	case err != nil:
		because := errors.New(reason(said))
		if exit, ended := errors.AsType[*exec.ExitError](err); !ended || exit.ExitCode() < 0 { // it was killed
			return Passing{because}
		}
		return because
	case statErr != nil:
		return fmt.Errorf("%w: %w", ErrTrouble, statErr)
	case info.Size() >= maxMade:
		return fmt.Errorf("as mp3 it has more than %d MB", maxMade>>20)
	case info.Size() == 0:
		return errors.New("ffmpeg finds no music in it")
	}
	return nil
}

// ffmpegs runs ffmpeg on the file at path and returns the end of what it said, without the path: a file may be called like
// an error.
func (c *Cache) ffmpegs(ctx context.Context, wanted bool, path string, output ...string) (string, error) {
	said := &tail{}
	cmd := exec.CommandContext(ctx, c.ffmpeg, append(input(path), output...)...)
	cmd.Stderr, cmd.WaitDelay = said, aliveAfter // Stdin is the null device, and so is Stdout
	cmd.Dir, cmd.Env = c.dir, append(os.Environ(), "LC_ALL=C", "AV_LOG_FORCE_NOCOLOR=1")
	alone(cmd)
	runtime.LockOSThread() // Pdeathsig kills the process when the thread that started it ends
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("%w: start ffmpeg: %w", ErrTrouble, err)
	}
	humble(cmd.Process.Pid, wanted)
	err := cmd.Wait()
	return strings.ReplaceAll(said.String(), "file:"+path, "the file"), err
}

const (
	// probed is how much of a file is decoded to see whether it is music, in seconds, and probeTakes how long that may take.
	probed, probeTakes = 10, 20 * time.Second
)

// Probe decodes the beginning of the file at path. Its error says in plain words why ffmpeg finds no music in it; an
// error that wraps ErrTrouble is not the file's fault.
func (c *Cache) Probe(ctx context.Context, path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrTrouble, err)
	}
	within, cancel := context.WithTimeout(ctx, probeTakes)
	defer cancel()
	said, err := c.ffmpegs(within, true, path, "-t", strconv.Itoa(probed), "-map", "0:a:0", "-vn", "-sn", "-dn", "-f", "null", "-")
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", ErrTrouble, ctx.Err())
	case within.Err() != nil:
		return fmt.Errorf("ffmpeg did not read %d seconds of it within %v", probed, probeTakes)
	case err == nil, errors.Is(err, ErrTrouble):
		return err
	}
	return errors.New(reason(said))
}

// reason says in plain words why ffmpeg could not convert a file.
func reason(said string) string {
	last := ""
	for line := range strings.Lines(said) {
		if line = strings.TrimSpace(line); line != "" {
			last = line
		}
	}
	switch {
	case strings.Contains(said, "matches no streams"), strings.Contains(said, "does not contain any stream"):
		return "there is no music in it, says ffmpeg"
	case strings.Contains(said, "not on whitelist"), strings.Contains(said, "Format not on"), strings.Contains(said, "Cannot determine format"), strings.Contains(said, "Invalid data found"):
		return "ffmpeg finds no music in it that it knows"
	case strings.Contains(said, "moov atom not found"):
		return "its end is missing, says ffmpeg"
	case last == "":
		return "ffmpeg cannot convert it"
	}
	return "ffmpeg cannot convert it: " + plain.Text(last, 160)
}

// tail keeps the end of what is written to it, in whole lines.
type tail struct {
	b   []byte
	cut bool
}

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	t.cut = t.cut || len(t.b) > maxSaid
	t.b = bytes.Clone(t.b[max(0, len(t.b)-maxSaid):])
	return len(p), nil
}

func (t *tail) String() string {
	if t.cut {
		_, whole, _ := bytes.Cut(t.b, []byte("\n"))
		return string(whole)
	}
	return string(t.b)
}
