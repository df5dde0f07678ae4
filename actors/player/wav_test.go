package player

import (
	"bytes"
	"context"
	"encoding/binary"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"conga/messages"
)

// soundOf checks the file's header and returns its sound, as a strict reader sees it.
func soundOf(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	le := binary.LittleEndian
	if len(b) < wavHeader || string(b[:4]) != "RIFF" || string(b[8:16]) != "WAVEfmt " || string(b[36:40]) != "data" {
		t.Fatalf("no WAV header: %q", b[:min(len(b), wavHeader)])
	}
	size := int(le.Uint32(b[40:]))
	if int(le.Uint32(b[4:])) != size+36 || size > len(b)-wavHeader || size%bytesPerFrame != 0 {
		t.Fatalf("sizes %d and %d in a file of %d bytes", le.Uint32(b[4:]), size, len(b))
	}
	if le.Uint16(b[20:]) != 1 || le.Uint16(b[22:]) != 2 || le.Uint32(b[24:]) != outputRate || le.Uint16(b[34:]) != 16 {
		t.Fatalf("format % x", b[20:36])
	}
	return b[wavHeader : wavHeader+size]
}

func TestWav_ValidAtEveryMoment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.wav")
	synctest.Test(t, func(t *testing.T) {
		out := &wav{path: path}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- out.Run(ctx, &proof{}) }()
		for s := range 5 {
			time.Sleep(time.Second)
			synctest.Wait()
			if n := len(soundOf(t, path)) / bytesPerFrame; n < s*outputRate {
				t.Errorf("killed after %d s, %d frames could be played", s+1, n)
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n := len(soundOf(t, path)) / bytesPerFrame; n < 5*outputRate || n > 5*outputRate+2*blockFrames {
			t.Errorf("%d frames after 5 s", n)
		}
	})
}

func TestWav_DiskFull(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("this system has no /dev/full")
	}
	synctest.Test(t, func(t *testing.T) {
		feed := &proof{}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if err := (&wav{path: "/dev/full"}).Run(ctx, feed); err != nil {
			t.Errorf("a full disk ends the music: %v", err)
		}
		if len(feed.said) != 1 || !strings.Contains(feed.said[0], "make room") {
			t.Errorf("said %q", feed.said)
		}
		if feed.frames < 3*outputRate {
			t.Errorf("%d frames in 3 s", feed.frames)
		}
	})
}

// slowDisk is a file whose disk hangs, or is full, at times.
type slowDisk struct {
	*os.File
	trouble func() error // may block
}

func (d slowDisk) WriteAt(p []byte, at int64) (int, error) {
	if err := d.trouble(); err != nil {
		return 0, err
	}
	return d.File.WriteAt(p, at)
}

// recordWith records 40 s of frames that are their own number, and returns how many are in the file, how many of
// them are silence, and what was said. Every other frame stands where it belongs.
func recordWith(t *testing.T, trouble func(since time.Duration) error) (frames, silent int, said []string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a.wav")
	var b []byte
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		out := &wav{path: path, open: func(path string, flags int) (wavFile, error) {
			file, err := os.OpenFile(path, flags, 0o600)
			return slowDisk{file, func() error { return trouble(time.Since(began)) }}, err
		}}
		feed := &counting{}
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		defer cancel()
		if err := out.Run(ctx, feed); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 40*time.Second+wavPatience {
			t.Errorf("it ended %v after its end", took-40*time.Second)
		}
		if feed.n < 40*outputRate {
			t.Errorf("%d frames were asked for in 40 s: it waited for the disk", feed.n)
		}
		feed.mu.Lock()
		said = feed.said
		if lacks := out.became.incomplete(); lacks != "" {
			said = append(said, lacks)
		}
		feed.mu.Unlock()
		b = soundOf(t, path)
		time.Sleep(time.Hour) // a writer that hangs ends when its disk does
	})
	for i := 0; i < len(b); i += bytesPerFrame {
		switch number := int(binary.LittleEndian.Uint32(b[i:])); number {
		case i/bytesPerFrame + 1:
		case 0:
			silent++
		default:
			t.Fatalf("frame %d stands at %d", number-1, i/bytesPerFrame)
		}
	}
	return len(b) / bytesPerFrame, silent, said
}

// counting is a Feed of frames that are their own number, from 1.
type counting struct {
	n int

	mu   sync.Mutex
	said []string
}

func (f *counting) Fill(p []byte, _ int) {
	for i := 0; i < len(p); i += bytesPerFrame {
		f.n++
		binary.LittleEndian.PutUint32(p[i:], uint32(f.n))
	}
}

func (f *counting) Say(trouble string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.said = append(f.said, trouble)
}

func (*counting) Plays(string) {}

func TestWav_DiskHangs(t *testing.T) {
	hang := func(from, to time.Duration) func(time.Duration) error {
		return func(since time.Duration) error {
			if since > from && since < to {
				time.Sleep(to - since)
			}
			return nil
		}
	}
	for _, test := range []struct {
		name         string
		from, to     time.Duration
		most, silent int // seconds that lack at the end, that are silence in between
		said         []string
	}{
		{"nine seconds", 10 * time.Second, 19 * time.Second, 0, 0, nil},
		{"fifteen seconds", 10 * time.Second, 25 * time.Second, 0, 5, []string{"its disk does not answer", "continues; 5.0 s of it are silence", "5.0 s of it are silence because"}},
		{"to the end", 30 * time.Second, 41 * time.Second, 0, 0, nil},
		{"longer", 28 * time.Second, time.Hour, 12, 0, []string{"its disk does not answer", "it ends after 28.0 s, its disk did not take the rest"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			frames, silent, said := recordWith(t, hang(test.from, test.to))
			if lack := 40*outputRate - frames; lack > (test.most+1)*outputRate || lack < (test.most-1)*outputRate {
				t.Errorf("%d frames, want all but %d s", frames, test.most)
			}
			if off := silent - test.silent*outputRate; off > outputRate/10 || off < -outputRate/10 {
				t.Errorf("%d frames of silence, want %d s", silent, test.silent)
			}
			hasSaid(t, said, test.said)
		})
	}
}

func hasSaid(t *testing.T, said, want []string) {
	t.Helper()
	if len(said) != len(want) {
		t.Errorf("said %q, want %q", said, want)
		return
	}
	for i := range want {
		if !strings.Contains(said[i], want[i]) {
			t.Errorf("said %q, want %q", said[i], want[i])
		}
	}
}

// When a full disk has room again, the recording goes on, in time.
func TestWav_RoomAgain(t *testing.T) {
	frames, silent, said := recordWith(t, func(since time.Duration) error {
		if since > 10*time.Second && since < 20*time.Second {
			return &fs.PathError{Op: "write", Path: "a.wav", Err: syscall.ENOSPC}
		}
		return nil
	})
	if frames < 40*outputRate || silent < 9*outputRate || silent > 11*outputRate {
		t.Errorf("%d frames, %d of silence", frames, silent)
	}
	hasSaid(t, said, []string{"after 10 s: no space left on device; make room, and it goes on", "continues; 10.0 s of it are silence", "10.0 s of it are silence because"})
}

func TestWav_CannotBeOpened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		err := (&wav{path: filepath.Join(t.TempDir(), "no", "a.wav")}).Run(t.Context(), &counting{})
		if err == nil || !strings.Contains(err.Error(), "choose another file") || time.Since(began) > time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// If two listeners record into one file, the second refuses, and the first one's recording stays whole. A restarted
// player continues its own.
func TestWav_Another(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.wav")
	if err := os.WriteFile(path, nil, 0o600); err != nil { // as of mktemp
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		record := func(out *wav) error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return out.Run(ctx, &proof{})
		}
		first, second := &wav{path: path}, &wav{path: path}
		if err := record(first); err != nil {
			t.Error(err)
		}
		before := soundOf(t, path)
		for range 2 {
			if err := record(second); err == nil || !strings.Contains(err.Error(), "exists: another program records into it, or did; choose another file for --output wav:FILE") {
				t.Errorf("the second one: %v", err)
			}
		}
		if !bytes.Equal(soundOf(t, path), before) {
			t.Error("it has changed the first one's recording")
		}
		if err := record(first); err != nil || len(soundOf(t, path)) < 2*len(before)-4*blockFrames*bytesPerFrame {
			t.Errorf("the first one does not go on: %v, %d bytes of sound", err, len(soundOf(t, path)))
		}
	})
}

// While the clocks agree to some microseconds, the recording of a song at its own rate equals the decoder's output,
// sample for sample, also after a song of another rate.
func TestPlayer_WavIsTheSong(t *testing.T) {
	beethoven, bach := load(t, "beethoven.mp3", 48000, 3), load(t, "bach.mp3", 44100, 5)
	path := filepath.Join(t.TempDir(), "a.wav")
	var want []int16
	synctest.Test(t, func(t *testing.T) {
		_, live, _ := play(t, 7*time.Second, func(at int64) []*messages.Item {
			items := broadcast(t, at, beethoven, bach)
			d := decoder{make: goMP3}
			for _, item := range items {
				if c, _ := d.decode(item, item.PlayAt()); c != nil && item.Song.GetSong() == bach.name {
					want = append(want, c.pcm...)
				}
			}
			return items
		}, func(cfg *Config, s *script) {
			exact := cfg.Now
			cfg.Output = &wav{path: path}
			cfg.Now = func() int64 { now := exact(); return now + now/7000%80 } // it wobbles
		})
		if live.Ppm != 0 || live.Jumps != 0 || live.Underruns != 0 {
			t.Errorf("%+v", live)
		}
	})
	heard := toSamples(soundOf(t, path))
	length, at := 2*3*outputRate, 2*4*outputRate-2*outputRate/10 // three seconds from where the song is sure to be on
	for ; at < 2*5*outputRate; at += 2 {
		if slices.Equal(heard[at:at+20], want[outputRate:outputRate+20]) {
			break
		}
	}
	if at+length > len(heard) || !slices.Equal(heard[at:at+length], want[outputRate:outputRate+length]) {
		t.Errorf("%d samples are not those of the song", length)
	}
}
