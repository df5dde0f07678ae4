package catalog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// maxCover is the largest picture that is read, in bytes.
const maxCover = 2 << 20

// Cover is the picture in the tag of the song called name in the folder dir, or elsewhere; nil if there is none. Nobody has checked
// that it is a picture.
func Cover(dir string, elsewhere *Elsewhere, name string) ([]byte, error) {
	opened, _, found, err := elsewhere.Open(dir, name)
	if !found {
		opened, err = Open(dir, name)
	}
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	file, ok := opened.(*os.File)
	if !ok {
		return nil, errors.New("it is no file")
	}
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("look at song %s: %w", name, err)
	}
	return coverOf(file, info.Size()), nil
}

// coverOf finds the first picture of an ID3v2 tag, or the one that says that it is the front cover.
func coverOf(file io.ReaderAt, size int64) (picture []byte) {
	for frame := range id3Frames(file, size) {
		if !isPicture(frame.head) || frame.length == 0 || frame.length > maxCover {
			continue
		}
		found, front := pictureIn(frame.version, frame.head, frame.body())
		if front && found != nil {
			return found
		}
		if picture == nil {
			picture = found
		}
	}
	return picture
}

func isPicture(frame [10]byte) bool {
	return string(frame[:4]) == "APIC" || string(frame[:3]) == "PIC" && frame[3] < 0x80 && frame[0] == 'P'
}

// Flags of a frame of ID3v2.4 and of ID3v2.3.
const (
	frameUnsynchronised, frameLengthened, framePacked4 = 0x02, 0x01, 0x0c
	framePacked3                                       = 0xc0
	frontCover                                         = 3
)

// pictureIn is the part of the frame's body after encoding, kind and description; nil if these cannot be read.
func pictureIn(version byte, frame [10]byte, body []byte) (picture []byte, front bool) {
	switch {
	case version == 3 && frame[9]&framePacked3 != 0, version == 4 && frame[9]&framePacked4 != 0:
		return nil, false
	case version == 4 && frame[9]&frameLengthened != 0 && len(body) > 4:
		body = body[4:]
	}
	if version == 4 && frame[9]&frameUnsynchronised != 0 {
		body = bytes.ReplaceAll(body, []byte{0xff, 0}, []byte{0xff})
	}
	if len(body) < 6 {
		return nil, false
	}
	wide, rest := body[0] == 1 || body[0] == 2, body[1:]
	if version == 2 {
		rest = rest[3:]
	} else if at := bytes.IndexByte(rest, 0); at >= 0 {
		rest = rest[at+1:]
	} else {
		return nil, false
	}
	if len(rest) < 2 {
		return nil, false
	}
	front, rest = rest[0] == frontCover, rest[1:]
	if !wide {
		if at := bytes.IndexByte(rest, 0); at >= 0 {
			return rest[at+1:], front
		}
		return nil, false
	}
	for at := 0; at+1 < len(rest); at += 2 {
		if rest[at] == 0 && rest[at+1] == 0 {
			return rest[at+2:], front
		}
	}
	return nil, false
}
