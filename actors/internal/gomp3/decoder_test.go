package gomp3

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	upstream "github.com/hajimehoshi/go-mp3"

	"conga/actors/internal/mp3"
)

var rewrite = flag.Bool("rewrite", false, "have ffmpeg decode the frames of these tests again, and mpg123 agree")

// soundOf decodes frames of one song.
func soundOf(t testing.TB, frames [][]byte) []int16 {
	t.Helper()
	var d Decoder
	sound := make([]byte, len(frames)*FrameSound)
	for i, frame := range frames {
		if err := d.Decode(frame, sound[i*FrameSound:]); err != nil {
			t.Fatalf("frame %d: %v", i, err)
		}
	}
	return toSamples(sound)
}

func toSamples(b []byte) []int16 {
	pcm := make([]int16, len(b)/2)
	for i := range pcm {
		pcm[i] = int16(binary.LittleEndian.Uint16(b[2*i:]))
	}
	return pcm
}

// same reports the first sample that differs by more than `most` of 32768.
func same(t *testing.T, got, want []int16, most int) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d samples, want %d", len(got), len(want))
	}
	for i := range want {
		if d := int(got[i]) - int(want[i]); d < -most || d > most {
			t.Fatalf("sample %d of channel %d is %d, want %d", i/2, i%2, got[i], want[i])
		}
	}
}

// All kinds of stereo in all kinds of blocks sound as ffmpeg decodes them. testdata has every sixteenth of ffmpeg's
// samples; mpg123 agreed when they were written (-rewrite).
func TestDecoder_Stereo(t *testing.T) {
	for rate, hertz := range []int{44100, 48000, 32000} {
		t.Run(fmt.Sprint(hertz), func(t *testing.T) {
			frames := noisyFrames(rate)
			golden := filepath.Join("testdata", fmt.Sprintf("stereo_%d.pcm", hertz))
			if *rewrite {
				ask(t, frames, golden)
			}
			b, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			same(t, thinned(soundOf(t, frames)), toSamples(b), 1)
		})
	}
}

// thinned keeps every sixteenth sample of both channels.
func thinned(pcm []int16) []int16 {
	var kept []int16
	for i := 0; i+1 < len(pcm); i += 32 {
		kept = append(kept, pcm[i], pcm[i+1])
	}
	return kept
}

// ask writes the golden samples by two other decoders, which must agree.
func ask(t *testing.T, frames [][]byte, golden string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "stereo.mp3")
	if err := os.WriteFile(file, bytes.Join(frames, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	decode := func(name string, args ...string) []int16 {
		out, err := exec.Command(name, args...).Output()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return thinned(toSamples(out))
	}
	ffmpeg := decode("ffmpeg", "-v", "error", "-i", file, "-f", "s16le", "-")
	same(t, decode("mpg123", "-q", "-s", "--no-gapless", file), ffmpeg, 1)
	var b []byte
	for _, s := range ffmpeg {
		b = binary.LittleEndian.AppendUint16(b, uint16(s))
	}
	if err := os.WriteFile(golden, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// Without intensity stereo the fork sounds like go-mp3.
func TestDecoder_Upstream(t *testing.T) {
	for _, name := range []string{"bach.mp3", "beethoven.mp3", "pachelbel.mp3"} {
		t.Run(name, func(t *testing.T) {
			frames := framesOf(t, name, 150)
			d, err := upstream.NewDecoder(struct{ io.Reader }{bytes.NewReader(bytes.Join(frames, nil))})
			if err != nil {
				t.Fatal(err)
			}
			want, err := io.ReadAll(d)
			if err != nil {
				t.Fatal(err)
			}
			same(t, soundOf(t, frames), toSamples(want), 2) // upstream does not round
		})
	}
}

// framesOf reads at most n frames of one of the songs in songs/.
func framesOf(t testing.TB, name string, n int) [][]byte {
	t.Helper()
	file, err := os.Open(filepath.Join("..", "..", "..", "songs", name))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r := mp3.NewReader(file)
	var frames [][]byte
	for len(frames) < n {
		frame, _, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, bytes.Clone(frame))
	}
	return frames
}

// A decoder that starts in mid-song is silent until a frame's main data is complete, and right one frame later, because
// half of each window belongs to the frame before.
func TestDecoder_JoinsInMidSong(t *testing.T) {
	frames := framesOf(t, "pachelbel.mp3", 40)
	want := soundOf(t, frames)
	lacked := 0
	for first := 1; first < 20; first++ {
		got := soundOf(t, frames[first:])
		at := 0
		for ; borrowed(frames[first+at]) > mainBytes(frames[first:first+at]); at++ {
			for i, s := range got[at*2304 : (at+1)*2304] {
				if s != 0 {
					t.Fatalf("begun at %d, sample %d of frame %d is %d: it lacks what it borrows", first, i, at, s)
				}
			}
		}
		lacked += at
		same(t, got[(at+1)*2304:], want[(first+at+1)*2304:], 1)
	}
	if lacked == 0 {
		t.Error("no frame borrows anything: this tests nothing")
	}
}

func borrowed(frame []byte) int { return int(frame[4])<<1 | int(frame[5])>>7 }

func mainBytes(frames [][]byte) (n int) {
	for _, frame := range frames {
		n += len(frame) - 36
	}
	return n
}

// Mono is heard on both sides, and sounds like one side of the stereo frame.
func TestDecoder_Mono(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var stereo, mono [][]byte
	for range 4 {
		frame := noise(r, 0, plainStereo, blocks[0])
		stereo, mono = append(stereo, frame), append(mono, leftOf(frame))
	}
	want, got := soundOf(t, stereo), soundOf(t, mono)
	for i := range got {
		if got[i] != want[i&^1] {
			t.Fatalf("sample %d of channel %d is %d, on the left it was %d", i/2, i%2, got[i], want[i&^1])
		}
	}
}

// leftOf makes a mono frame of the left channel of a frame of noise.
func leftOf(frame []byte) []byte {
	old, side, data := &bits{vec: frame[4:]}, writer{}, writer{}
	main := &bits{vec: frame[36:]}
	old.bits(20)
	side.put(0, 9+5+4)
	for range 2 {
		for channel := range 2 {
			length := old.bits(12)
			rest := [2]int{old.bits(24), old.bits(23)}
			if channel == 0 {
				side.put(length, 12)
				side.put(rest[0], 24)
				side.put(rest[1], 23)
			}
			for range length {
				if bit := main.bit(); channel == 0 {
					data.put(bit, 1)
				}
			}
		}
	}
	header := bytes.Clone(frame[:4])
	header[3] = 0xC0
	mono := append(append(header, side.b...), data.b...)
	return append(mono, make([]byte, len(frame)-len(mono))...)
}

// A CRC stands between header and side information; padding adds a byte.
func TestDecoder_CRCAndPadding(t *testing.T) {
	frames := noisyFrames(0)
	var other [][]byte
	for i, frame := range frames {
		frame = bytes.Clone(frame)
		if i%2 == 0 {
			frame[1] &^= 1
			frame = append(append(bytes.Clone(frame[:4]), 0xAB, 0xCD), frame[4:len(frame)-2]...)
		} else {
			frame[2] |= 2
			frame = append(frame, 0)
		}
		other = append(other, frame)
	}
	same(t, soundOf(t, other), soundOf(t, frames), 0)
}

// A broken frame is an error. The frames after it sound as before once the windows have passed.
func TestDecoder_BrokenFrame(t *testing.T) {
	frames := noisyFrames(0)
	want := soundOf(t, frames)
	for name, broken := range map[string][]byte{
		"nothing": nil, "a header": frames[3][:4], "MPEG-2": append([]byte{0xFF, 0xF3}, frames[3][2:]...),
		"too many big values": append(append(bytes.Clone(frames[3][:8]), 0xFF, 0xFF, 0xFF), frames[3][11:]...),
	} {
		var d Decoder
		sound := make([]byte, FrameSound)
		for i, frame := range frames {
			if i == 3 {
				if err := d.Decode(broken, sound); !errors.Is(err, ErrFrame) {
					t.Errorf("%s: %v", name, err)
				}
				continue
			}
			if err := d.Decode(frame, sound); err != nil {
				t.Fatal(err)
			}
			if i > 4 {
				same(t, toSamples(sound), want[i*2304:(i+1)*2304], 1)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, frame := range noisyFrames(0)[:12] {
		f.Add(frame)
	}
	f.Add(framesOf(f, "pachelbel.mp3", 3)[2])
	f.Fuzz(func(t *testing.T, frame []byte) {
		var d Decoder
		sound := make([]byte, FrameSound)
		for range 2 { // the second time it has a reservoir
			if err := d.Decode(frame, sound); err != nil && !errors.Is(err, ErrFrame) {
				t.Fatal(err)
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	frames := framesOf(b, "bach.mp3", 200)
	var d Decoder
	sound := make([]byte, FrameSound)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if err := d.Decode(frames[n%len(frames)], sound); err != nil {
			b.Fatal(err)
		}
		n++
	}
	b.ReportMetric(float64(n)*1152/44100/b.Elapsed().Seconds(), "x-realtime")
}
