package seed

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"conga/messages"
)

func anyPlace(t *rapid.T) place {
	p := place{
		index:  rapid.Uint64Range(0, 1<<20-1).Draw(t, "index"),
		playAt: rapid.Int64Range(1, 1<<52-1).Draw(t, "playAt"),
		rate:   rapid.SampledFrom([]int32{32000, 44100, 48000}).Draw(t, "rate"),
	}
	p.number = p.index + rapid.Uint64Range(1, 1<<39).Draw(t, "song")
	return p
}

// What a place says in lengths is what is read from them, and every length is legal.
func TestPlace_Digits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyPlace(t)
		lengths := p.digits()
		for _, length := range lengths {
			if !isDigit(length) || length > messages.MaxPayload {
				t.Fatalf("%+v says a message of %d bytes", p, length)
			}
		}
		if got, ok := readPlace(lengths[:]); !ok || got != p {
			t.Fatalf("%+v is read as %+v, %v", p, got, ok)
		}
		at := rapid.IntRange(0, placeDigits-1).Draw(t, "wrong")
		lengths[at] ^= 4 << rapid.IntRange(0, 5).Draw(t, "bit")
		if got, ok := readPlace(lengths[:]); ok && got == p {
			t.Fatalf("a wrong digit reads as %+v", got)
		}
	})
}

// The pieces of a chunk are all of it, and each fits a segment.
func TestPieces_Sum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 16*messages.SoundFrame/4).Draw(t, "samples") * 4
		if rapid.Bool().Draw(t, "whole frames") {
			size = rapid.IntRange(1, 16).Draw(t, "frames") * messages.SoundFrame
		}
		sum := 0
		for _, n := range pieces(size, anyPlace(t)) {
			if n < 1 || n > maxPiece || n%4 != 0 {
				t.Fatalf("a piece of %d bytes", n)
			}
			sum += n
		}
		if sum != size {
			t.Fatalf("pieces of %d bytes of %d", sum, size)
		}
	})
}

// broadcast is what a Feeder would send of some songs: the messages, and the chunks in them.
func broadcast(t *rapid.T) (sent []transported, chunks []chunk) {
	number := rapid.Uint64Range(1, 1<<30).Draw(t, "first number")
	for range rapid.IntRange(1, 3).Draw(t, "songs") {
		rate := rapid.SampledFrom([]int32{32000, 44100, 48000}).Draw(t, "rate")
		playAt := rapid.Int64Range(1, 1<<50).Draw(t, "playAt")
		full := int(messages.FramesPerChunk(rate))
		n := rapid.IntRange(1, 6).Draw(t, "chunks")
		last := rapid.IntRange(1, full).Draw(t, "frames of the last")
		sent = append(sent, transported{song: true})
		number++
		for index := range n {
			frames := full
			if index == n-1 {
				frames = last
			}
			c := chunk{place{number, uint64(index), playAt, rate}, ramp(frames * messages.SoundFrame)}
			number++
			chunks = append(chunks, c)
			rest := c.sound
			for _, size := range pieces(len(rest), c.place) {
				sent = append(sent, transported{piece: rest[:size], of: len(chunks) - 1})
				rest = rest[size:]
			}
			if rapid.Bool().Draw(t, "pulse") {
				sent = append(sent, transported{piece: make([]byte, pulse), of: -1})
			}
		}
	}
	return sent, chunks
}

type transported struct {
	song  bool
	piece []byte
	of    int // chunk, -1 for a pulse
}

// Whoever comes into the middle finds every whole chunk from the first place on that it reads
// from its beginning, each once, with the place and the sound that it had. A short chunk has no
// place of its own: it is found behind another one of its song.
func TestLocator_AnyStart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sent, chunks := broadcast(t)
		from := rapid.IntRange(0, len(sent)-1).Draw(t, "from")
		var l locator
		var got []chunk
		for _, m := range sent[from:] {
			if m.song {
				l.songChange()
				continue
			}
			if c, whole := l.add(m.piece); whole {
				got = append(got, c)
			}
		}
		// the chunks that can be known: begun after from
		next := 0
		for next < len(chunks) && begunBefore(sent, from, next) {
			next++
		}
		known := false
		for _, c := range chunks[next:] {
			full := len(c.sound) == int(messages.FramesPerChunk(c.rate))*messages.SoundFrame
			if known = full || known && c.index > 0; !known {
				continue
			}
			if len(got) == 0 {
				t.Fatalf("chunk %d was not found", c.number)
			}
			if got[0].place != c.place || !bytes.Equal(got[0].sound, c.sound) {
				t.Fatalf("found %+v, sent %+v", got[0].place, c.place)
			}
			got = got[1:]
		}
		if len(got) > 0 {
			t.Fatalf("found %d chunks too many, %+v", len(got), got[0].place)
		}
	})
}

// begunBefore says whether a piece of the chunk was sent before `from`.
func begunBefore(sent []transported, from, of int) bool {
	for _, m := range sent[:from] {
		if !m.song && m.of >= of {
			return true
		}
	}
	return false
}

// Whatever comes: the locator keeps no more than one chunk, and what it finds is well-formed.
func FuzzLocator(f *testing.F) {
	p := place{number: 77, index: 3, playAt: 1 << 50, rate: 44100}
	var good []byte
	for _, n := range pieces(4*messages.SoundFrame, p) {
		good = append(good, byte(n>>8), byte(n))
	}
	f.Add(good)
	f.Add([]byte{0, 64, 1, 0, 0, 4, 0, 60})
	f.Fuzz(func(t *testing.T, lengths []byte) {
		var l locator
		for ; len(lengths) >= 2; lengths = lengths[2:] {
			n := int(lengths[0])<<8 | int(lengths[1])
			if n > messages.MaxPayload {
				l.songChange()
				continue
			}
			c, whole := l.add(make([]byte, n))
			if len(l.sound) > 16*messages.SoundFrame+messages.MaxPayload {
				t.Fatalf("keeps %d bytes", len(l.sound))
			}
			if whole && (len(c.sound) == 0 || len(c.sound)%messages.SoundFrame != 0 || c.number <= c.index) {
				t.Fatalf("found %+v with %d bytes", c.place, len(c.sound))
			}
		}
	})
}
