package catalog

import (
	"bytes"
	"encoding/binary"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/dhowden/tag"

	"conga/actors/internal/mp3"
	"conga/messages"
)

const (
	// maxGain bounds how much louder or quieter a tag may make a song, in hundredths of a decibel.
	maxGain = 3000
	// maxUserText is the longest frame of a tag in which loudness is looked for.
	maxUserText = 256
	// r128 is how many hundredths of a decibel louder songs are by ReplayGain than by EBU R 128.
	r128 = 500
)

// loudness is a song's loudness according to a tag: how much louder it is to be played, in hundredths of a decibel, and its
// largest sample, in thousandths, rounded up. 0: the tag does not say.
type loudness struct{ gain, peak int32 }

// note takes one field of a tag. Only values for the track count, not those for its album, because songs of many albums are
// mixed.
func (l *loudness) note(field, value string) {
	number, _, _ := strings.Cut(strings.TrimSpace(value), " ")
	x, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsNaN(x) {
		return
	}
	switch strings.ToLower(field) {
	case "replaygain_track_gain":
		l.gain = hundredths(100 * x)
	case "replaygain_track_peak":
		l.peak = thousandths(x)
	case "r128_track_gain": // in 256ths of a decibel
		if l.gain == 0 {
			l.gain = hundredths(100*x/256 + r128)
		}
	}
}

func hundredths(x float64) int32 { return int32(math.Round(min(maxGain, max(-maxGain, x)))) }

func thousandths(x float64) int32 { return int32(math.Ceil(1000 * min(10, max(0, x)))) }

// mp3Loudness is the loudness in an mp3's tag, else that of its encoder.
func mp3Loudness(file io.ReaderAt, size int64, music mp3.Info) (said loudness) {
	for frame := range id3Frames(file, size) {
		user := string(frame.head[:4]) == "TXXX" || frame.version == 2 && string(frame.head[:3]) == "TXX"
		if !user || frame.length > maxUserText {
			continue
		}
		if field, value, is := userText(frame.body()); is {
			said.note(field, value)
		}
	}
	if said == (loudness{}) && music.Gain != 0 {
		said = loudness{hundredths(100 * music.Gain), thousandths(music.Peak)}
	}
	return said
}

// userText is the field and the value in the body of a TXXX frame.
func userText(body []byte) (field, value string, is bool) {
	if len(body) == 0 {
		return "", "", false
	}
	text := string(body[1:])
	if wide := body[0] == 1 || body[0] == 2; wide {
		text = fromUTF16(body[1:])
	}
	field, value, is = strings.Cut(text, "\x00")
	return strings.Trim(field, "\ufeff"), strings.Trim(value, "\x00\ufeff"), is
}

// fromUTF16 reads UTF-16 of either byte order. Bytes that are no text do no harm here.
func fromUTF16(b []byte) string {
	var order binary.ByteOrder = binary.BigEndian
	if bytes.HasPrefix(b, []byte{0xff, 0xfe}) {
		order = binary.LittleEndian
	}
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = order.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units))
}

// otherLoudness is the loudness in the tag of a file that is no mp3.
func otherLoudness(meta tag.Metadata) (said loudness) {
	raw := meta.Raw()
	for _, field := range slices.Sorted(maps.Keys(raw)) { // sorted, so that a field that is there twice always has the same value
		if text, is := raw[field].(string); is && len(text) <= maxUserText {
			said.note(field, text)
		}
	}
	return said
}

// write sets the song's loudness.
func (l loudness) write(song *messages.Song) { song.GainMb, song.PeakPermille = l.gain, l.peak }
