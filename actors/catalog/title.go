package catalog

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"io"
	"iter"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/dhowden/tag"
	"golang.org/x/text/encoding/charmap"

	"conga/messages"
	"conga/messages/plain"
)

const (
	// maxTagFrames is how many frames of a tag are looked at. Real tags have some tens. A tag with
	// 200,000 takes the library minutes, because its time grows with their square.
	maxTagFrames = 1000
	// maxText bounds the frames with title and artist, all together, in bytes.
	maxText = 64 << 10
	// maxOddTag is how many bytes of an unsynchronised tag are read.
	maxOddTag = 1 << 20
	// maxTitle bounds a title or an artist, in bytes, because they travel in every song change.
	maxTitle = 256
)

// readTitle returns title and artist from the file's tags, as single lines of valid text; ""
// if the tags have none. Broken tags count as none.
func readTitle(file io.ReaderAt, size int64) (title, artist string) {
	title, artist = said(func() (tag.Metadata, error) { return tag.ReadID3v2Tags(wanted(file, size)) })
	if title != "" && artist != "" {
		return title, artist
	}
	oldTitle, oldArtist := said(func() (tag.Metadata, error) {
		const id3v1 = 128
		return tag.ReadID3v1Tags(io.NewSectionReader(file, max(0, size-id3v1), id3v1))
	})
	return cmp.Or(title, oldTitle), cmp.Or(artist, oldArtist)
}

// otherTag returns title and artist from the tag of a file that is no mp3, and sets the song's loudness.
func otherTag(file io.ReaderAt, song *messages.Song) (title, artist string) {
	return said(func() (tag.Metadata, error) {
		meta, err := tag.ReadFrom(&sparing{r: io.NewSectionReader(file, 0, 1<<62), left: maxOtherTag})
		if err == nil {
			otherLoudness(meta).write(song)
		}
		return meta, err
	})
}

// maxOtherTag is how many bytes are read to find the tag of a file that is no mp3. Pictures may stand before
// it.
const maxOtherTag = 8 << 20

// sparing fails once it has read so many bytes, at any places.
type sparing struct {
	r    io.ReadSeeker
	left int
}

func (s *sparing) Read(b []byte) (int, error) {
	if s.left <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := s.r.Read(b[:min(len(b), s.left)])
	s.left -= n
	return n, err
}

func (s *sparing) Seek(offset int64, whence int) (int64, error) { return s.r.Seek(offset, whence) }

// titleOr is the title. A song in a subfolder that has none gets its file's own name, which people know better than
// the whole path.
func titleOr(title, name string) string {
	if title != "" || !strings.Contains(name, "/") {
		return title
	}
	base := path.Base(name)
	return oneLine(strings.TrimSuffix(base, path.Ext(base)))
}

// said returns title and artist from the tag that read finds.
func said(read func() (tag.Metadata, error)) (title, artist string) {
	defer func() {
		// The library is maintained, but the bytes may be hostile: no tag may crash the actor.
		if recover() != nil {
			title, artist = "", ""
		}
	}()
	meta, err := read()
	if err != nil {
		return "", ""
	}
	return oneLine(meta.Title()), oneLine(meta.Artist())
}

// wanted is the part of a file that the tag library gets. Of an ID3v2 tag that is the frames with title and
// artist, with separators between the values of one frame.
func wanted(file io.ReaderAt, size int64) io.ReadSeeker {
	var kept []byte
	for frame := range id3Frames(file, size) {
		if !isWanted(frame.head) || int64(len(kept))+frame.length > maxText {
			continue
		}
		body := frame.body()
		if frame.version == 2 || frame.head[9] == 0 { // neither packed nor encrypted
			separate(body)
		}
		if body != nil {
			kept = append(append(kept, frame.head[:frame.header]...), body...)
		}
	}
	var head [10]byte
	if _, err := file.ReadAt(head[:], 0); err != nil || string(head[:3]) != "ID3" {
		return bytes.NewReader(nil)
	}
	kept = append(kept, make([]byte, 16)...) // padding, as many tags have it: the library overlooks the last ten bytes
	whole := append(head[:5:5], 0)
	return bytes.NewReader(slices.Concat(whole, sevenBytes(len(kept)), kept))
}

// id3Frame is a frame of an ID3v2 tag; its body is not read yet.
type id3Frame struct {
	version byte
	head    [10]byte // of ID3v2.2 the first six
	header  int64    // bytes of the head
	length  int64    // bytes of the body

	file io.ReaderAt
	at   int64 // of the head
	end  int64 // of the tag
}

// body is the frame's body; nil if it is not whole.
func (f id3Frame) body() []byte {
	if f.at+f.header+f.length > f.end {
		return nil
	}
	body := make([]byte, f.length)
	if _, err := f.file.ReadAt(body, f.at+f.header); err != nil {
		return nil
	}
	return body
}

// id3Frames yields the frames of the ID3v2 tag at the beginning of the file of this size.
func id3Frames(file io.ReaderAt, size int64) iter.Seq[id3Frame] {
	return func(yield func(id3Frame) bool) {
		var head [10]byte
		if _, err := file.ReadAt(head[:], 0); err != nil || string(head[:3]) != "ID3" {
			return
		}
		version, flags := head[3], head[5]
		f := id3Frame{version: version, file: file, at: 10, end: min(size, 10+sevenBits(head[6:])), header: 10}
		if version == 2 {
			f.header = 6
		}
		if flags&unsynchronised != 0 && version < 4 {
			f.file, f.end = synchronised(file, f.end)
		}
		if flags&extended != 0 && version > 2 {
			f.at += extendedLength(version, f.file)
		}
		for n := 0; n < maxTagFrames && f.at+f.header <= f.end; n++ {
			f.head = [10]byte{}
			if _, err := f.file.ReadAt(f.head[:f.header], f.at); err != nil || f.head[0] == 0 {
				return
			}
			f.length = frameLength(version, f.head)
			if !yield(f) {
				return
			}
			f.at += f.header + f.length
		}
	}
}

// Flags of an ID3v2 tag: it has a zero after each byte 0xff, or a header of its own before its
// frames.
const (
	unsynchronised = 0x80
	extended       = 0x40
)

// synchronised is the tag at the file's beginning without the zeros that were put in, as far as
// maxOddTag allows.
func synchronised(file io.ReaderAt, end int64) (io.ReaderAt, int64) {
	b := make([]byte, min(end, maxOddTag))
	n, _ := file.ReadAt(b, 0) // the file may be shorter
	b = bytes.ReplaceAll(b[:n], []byte{0xff, 0}, []byte{0xff})
	return bytes.NewReader(b), int64(len(b))
}

func extendedLength(version byte, file io.ReaderAt) int64 {
	var b [4]byte
	if _, err := file.ReadAt(b[:], 10); err != nil {
		return 0
	}
	if version == 3 {
		return 4 + int64(binary.BigEndian.Uint32(b[:]))
	}
	return sevenBits(b[:])
}

// isWanted says whether the frame has title or artist.
func isWanted(frame [10]byte) bool {
	switch string(frame[:3]) {
	case "TT2", "TP1": // of ID3v2.2
		return true
	}
	return string(frame[:4]) == "TIT2" || string(frame[:4]) == "TPE1"
}

func frameLength(version byte, frame [10]byte) int64 {
	switch version {
	case 2:
		return int64(frame[3])<<16 | int64(frame[4])<<8 | int64(frame[5])
	case 4:
		if frame[4]|frame[5]|frame[6]|frame[7] < 0x80 { // else an old program has written an ordinary number
			return sevenBits(frame[4:])
		}
	}
	return int64(binary.BigEndian.Uint32(frame[4:]))
}

// separator replaces the zero between two values of one field, because the library would join them without a
// space. It is as long as the zero.
const separator = 0x1f

// separate puts separators between the values in the body of a text frame.
func separate(body []byte) {
	if len(body) == 0 {
		return
	}
	text, wide := body[1:], body[0] == 1 || body[0] == 2
	if !wide {
		for i, b := range text {
			if b == 0 {
				text[i] = separator
			}
		}
		return
	}
	low := 1 // where in a character its low byte is
	if bytes.HasPrefix(text, []byte{0xff, 0xfe}) {
		low = 0
	}
	for i := 0; i+1 < len(text); i += 2 {
		if text[i] == 0 && text[i+1] == 0 {
			text[i+low] = separator
		}
	}
}

// sevenBits is the number in four bytes of seven bits each, as ID3v2 writes sizes.
func sevenBits(b []byte) int64 {
	return int64(b[0]&0x7f)<<21 | int64(b[1]&0x7f)<<14 | int64(b[2]&0x7f)<<7 | int64(b[3]&0x7f)
}

func sevenBytes(n int) []byte {
	return []byte{byte(n >> 21 & 0x7f), byte(n >> 14 & 0x7f), byte(n >> 7 & 0x7f), byte(n & 0x7f)}
}

// oneLine is a field's value; several values have " / " between them. An ID3v1 tag does not say how it is
// encoded, so what is not UTF-8 is read as Windows-1252.
func oneLine(s string) string {
	if !utf8.ValidString(s) {
		if read, err := charmap.Windows1252.NewDecoder().String(s); err == nil {
			s = read
		}
	}
	var values []string
	for value := range strings.SplitSeq(s, string(rune(separator))) {
		if value = strings.Join(strings.Fields(plain.Text(value, maxTitle)), " "); value != "" {
			values = append(values, value)
		}
	}
	return plain.Text(strings.Join(values, " / "), maxTitle)
}
