package catalog

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"conga/actors/internal/mp3"
	"conga/messages"
)

// shortPieces is how many frames the pieces of a damaged song have at least, on average: two or
// three in a row that look like frames are found in any large file.
const shortPieces = 8

// cannotOpen begins the reason why a file is left out that may be a song all the same.
const cannotOpen = "it cannot be opened: "

// judge reads a whole file: a song and its music, or the reason why it is none. changed: it was
// written to meanwhile, or could not be opened for want of something that others
// have to give back first; so it must be judged again. makes says whether other music than mp3 can be converted.
func judge(ctx context.Context, dir string, found found, makes bool) (song *messages.Song, music mp3.Info, reason string, changed bool) {
	f, err := openRegular(found.in(dir))
	switch {
	case scarce(err), errors.Is(err, fs.ErrNotExist):
		return nil, music, "", true
	case err != nil:
		return nil, music, cannotOpen + cause(err), false
	}
	defer func() { _ = f.Close() }() // nothing was written
	return judgeFile(ctx, f, found, makes)
}

// judgeFile is judge for a file that is open, and may still be called otherwise than found says.
func judgeFile(ctx context.Context, f *os.File, found found, makes bool) (song *messages.Song, music mp3.Info, reason string, changed bool) {
	defer func() {
		if broken := recover(); broken != nil {
			song, reason = nil, fmt.Sprintf("reading it went wrong: %v", broken)
		}
	}()
	var err error
	size := found.size
	song = &messages.Song{Name: found.name, FileBytes: size, ModifiedUnixUs: found.modified.UnixMicro()}
	isMP3 := strings.EqualFold(path.Ext(found.name), ".mp3")
	content := sha256.New()
	if isMP3 {
		all := io.TeeReader(patient{ctx, f}, content)
		if music, err = mp3.ReadInfo(all); err == nil {
			_, err = io.Copy(io.Discard, all) // what it has not read, behind the music
		}
		song.Title, song.Artist = readTitle(f, size)
		mp3Loudness(f, size, music).write(song)
	}
	switch {
	case size == 0:
		return nil, music, "it is empty", false
	case !isMP3 && !makes:
		return nil, music, needsFFmpeg, false
	case !isMP3, makes && isOther(f, err):
		song.Form = messages.Song_FORM_OTHER
		song.DurationUs = otherDuration(f, size).Microseconds()
		if song.Title == "" {
			song.Title, song.Artist = otherTag(f, song)
		}
	}
	song.Title = titleOr(song.Title, found.name)
	if after, statErr := f.Stat(); statErr != nil || after.Size() != size || !after.ModTime().Equal(found.modified) {
		return nil, music, "", true
	}
	switch {
	case song.Form == messages.Song_FORM_OTHER:
		return song, mp3.Info{}, "", false
	case err != nil:
		return nil, music, unplayable(f, err), false
	case music.Skipped > music.AudioBytes && music.Pieces > 4 && music.Frames < shortPieces*music.Pieces:
		return nil, music, fmt.Sprintf("it is not music: only %d of its %d bytes look like music, in %d pieces", music.AudioBytes, size, music.Pieces), false
	}
	song.DurationUs, song.SampleRate = music.Duration.Microseconds(), int32(music.SampleRate)
	song.Frames, song.AudioBytes = music.Frames, music.AudioBytes
	song.Sum = content.Sum(nil)
	return song, music, "", false
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
