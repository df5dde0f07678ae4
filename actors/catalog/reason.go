package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"conga/actors/internal/mp3"
)

// kinds has the kinds of files that people rename to .mp3, by their first bytes.
var kinds = []struct {
	at    int
	magic string
	is    string
}{
	{8, "WAVE", "a WAV file"},
	{0, "fLaC", "a FLAC file"},
	{0, "OggS", "an Ogg file"},
	{4, "ftyp", "an MP4 file"},
	{8, "AIFF", "an AIFF file"},
	{0, "\x30\x26\xb2\x75", "a WMA file"},
	{0, "\xff\xf1", "an AAC file"},
	{0, "\xff\xf9", "an AAC file"},
}

// toMP3 is the command that makes an mp3 of another file. The file's name is in the same line already.
const toMP3 = "ffmpeg -i FILE NEW.mp3 makes one of it"

// isOther says whether a file without MPEG-1 layer III is music of another kind: mp3 of MPEG-2, as err says, or a renamed
// file of one of the kinds.
func isOther(file io.ReaderAt, err error) bool {
	if err == nil {
		return false
	}
	_, low := errors.AsType[mp3.LowRateError](err)
	return low || errors.Is(err, mp3.ErrFormat) && kindOf(file) != ""
}

// kindOf is the file's kind by its first bytes; "" if it is not known.
func kindOf(file io.ReaderAt) string {
	head := make([]byte, 16)
	n, _ := file.ReadAt(head, 0) // if it cannot be read, its kind is not known
	for _, kind := range kinds {
		if head := head[:n]; len(head) >= kind.at && bytes.HasPrefix(head[kind.at:], []byte(kind.magic)) {
			return kind.is
		}
	}
	return ""
}

// unplayable says in a user's words why no music was found in a file, and what to do.
func unplayable(file io.ReaderAt, err error) string {
	if low, is := errors.AsType[mp3.LowRateError](err); is {
		return fmt.Sprintf("it has %d Hz, and conga plays 32, 44.1 and 48 kHz: ffmpeg -i FILE -ar 44100 NEW.mp3 makes a copy that plays", int(low))
	}
	if !errors.Is(err, mp3.ErrFormat) {
		return "it cannot be read: " + cause(err)
	}
	if kind := kindOf(file); kind != "" {
		return "it is " + kind + ", not mp3: " + toMP3
	}
	head := make([]byte, 16)
	n, _ := file.ReadAt(head, 0)
	if start := bytes.ToLower(bytes.TrimSpace(head[:n])); bytes.HasPrefix(start, []byte("<!doctype")) || bytes.HasPrefix(start, []byte("<html")) {
		return "it is a web page, not mp3: download the song again"
	}
	return "there is no mp3 music (MPEG-1 layer III) in it; if it is music of another kind, " + toMP3
}
