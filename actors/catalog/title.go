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
	meta, err := tag.ReadID3v2Tags(io.NewSectionReader(file, 0, min(size, maxTagRead)))
	if err != nil {
		const id3v1 = 128
		if meta, err = tag.ReadID3v1Tags(io.NewSectionReader(file, max(0, size-id3v1), id3v1)); err != nil {
			return "", ""
		}
	}
	return oneLine(meta.Title()), oneLine(meta.Artist())
}

func oneLine(s string) string {
	return strings.Join(strings.Fields(plain.Text(s, maxTitle)), " ")
}
