package catalog

import (
	"io"
	"strings"

	"github.com/dhowden/tag"

	"conga/messages/plain"
)

const (
	// maxTagRead is how much of a file the tag library may see, and so at most
	// allocate for one picture: titles can stand behind pictures of several MB.
	maxTagRead = 16 << 20
	// maxTagFrames is how many frames a tag may have. The library's time grows with their square:
	// 200,000 of them take it minutes. Real tags have some tens.
	maxTagFrames = 1000
	// maxOddTag is how much is read, in bytes, of a tag whose frames cannot be counted from
	// outside.
	maxOddTag = 32 << 10
	// maxTitle bounds a title or an artist, in bytes: they travel in every song change.
	maxTitle = 256
)

// readTitle returns what the file's tag says, as single lines of valid text; ""
// where it says nothing. Broken tags are as good as none.
func readTitle(file io.ReaderAt, size int64) (title, artist string) {
	defer func() {
		// A kept library, but the bytes are anybody's: no tag is worth an actor.
		if recover() != nil {
			title, artist = "", ""
		}
	}()
	meta, err := tag.ReadID3v2Tags(io.NewSectionReader(file, 0, worthReading(file, min(size, maxTagRead))))
	if err != nil {
		const id3v1 = 128
		if meta, err = tag.ReadID3v1Tags(io.NewSectionReader(file, max(0, size-id3v1), id3v1)); err != nil {
			return "", ""
		}
	}
	return oneLine(meta.Title()), oneLine(meta.Artist())
}

// worthReading is how many of the file's bytes the tag library may see: none of a tag with too
// many frames, and few of one that is unsynchronised or has an extended header.
func worthReading(file io.ReaderAt, size int64) int64 {
	var head [10]byte
	if _, err := file.ReadAt(head[:], 0); err != nil || string(head[:3]) != "ID3" {
		return size
	}
	if head[5] != 0 {
		return min(size, maxOddTag)
	}
	end := min(size, 10+sevenBits(head[6:]))
	header := int64(10)
	if head[3] == 2 {
		header = 6
	}
	at := int64(10)
	for range maxTagFrames {
		var frame [10]byte
		if _, err := file.ReadAt(frame[:header], at); err != nil || at+header > end || frame[0] == 0 {
			return size
		}
		switch {
		case head[3] == 2:
			at += header + int64(frame[3])<<16 + int64(frame[4])<<8 + int64(frame[5])
		case head[3] == 4:
			if frame[4]|frame[5]|frame[6]|frame[7] >= 0x80 {
				return min(size, maxOddTag)
			}
			at += header + sevenBits(frame[4:])
		default:
			at += header + int64(frame[4])<<24 + int64(frame[5])<<16 + int64(frame[6])<<8 + int64(frame[7])
		}
	}
	return 0
}

// sevenBits is the number in four bytes of seven bits each, as ID3v2 writes sizes.
func sevenBits(b []byte) int64 {
	return int64(b[0]&0x7f)<<21 | int64(b[1]&0x7f)<<14 | int64(b[2]&0x7f)<<7 | int64(b[3]&0x7f)
}

func oneLine(s string) string {
	return strings.Join(strings.Fields(plain.Text(s, maxTitle)), " ")
}
