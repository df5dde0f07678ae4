package player

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// proof is a Feed that checks what an Output promises.
type proof struct {
	mu      sync.Mutex
	broken  []string
	over    bool // Run has returned
	frames  int
	waiting int
	said    []string
	devices []string // that play
}

func (f *proof) Fill(p []byte, waiting int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.over:
		f.broken = append(f.broken, "pulled after Run had returned")
	case len(p) == 0 || len(p)%bytesPerFrame != 0 || len(p) > blockFrames*bytesPerFrame:
		f.broken = append(f.broken, "pulled no frames, or part of one, or more than 10 ms")
	case waiting < 0 || waiting > f.frames+2*outputRate: // a device delays by less
		f.broken = append(f.broken, "more frames wait than were filled")
	}
	f.frames += len(p) / bytesPerFrame
	f.waiting = waiting
	for i := range p {
		p[i] = byte(f.frames)
	}
}

func (f *proof) Say(trouble string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.said = append(f.said, trouble)
}

func (f *proof) Plays(device string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.devices = append(f.devices, device); device == "" {
		f.broken = append(f.broken, "a device without a name")
	}
}

// proveOutput holds any Output to the contract in interface.go. It runs it twice, for
// two seconds each.
func proveOutput(t *testing.T, out Output) {
	t.Helper()
	if out.Latency() < 0 {
		t.Errorf("%s: latency %v", out.Name(), out.Latency())
	}
	for run := range 2 {
		feed := &proof{}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		began := time.Now()
		if err := out.Run(ctx, feed); err != nil {
			t.Fatalf("%s, run %d: %v", out.Name(), run, err)
		}
		cancel()
		took := time.Since(began)
		feed.mu.Lock()
		feed.over = true
		// What it took in advance is bounded; the rest went at the speed of the sound.
		least, most := int((took.Seconds()-0.5)*outputRate), int((took.Seconds()+0.6)*outputRate)
		if feed.frames < least || feed.frames > most {
			t.Errorf("%s, run %d: %d frames in %v", out.Name(), run, feed.frames, took)
		}
		if took > 2500*time.Millisecond {
			t.Errorf("%s, run %d: returned %v after its end", out.Name(), run, took-2*time.Second)
		}
		feed.mu.Unlock()
		time.Sleep(300 * time.Millisecond) // somebody who pulls on would do it now
		feed.mu.Lock()
		for _, b := range feed.broken {
			t.Errorf("%s, run %d: %s", out.Name(), run, b)
		}
		feed.mu.Unlock()
	}
}

func TestOutput_Contract(t *testing.T) {
	for name, out := range map[string]Output{
		"null": null{},
		"wav":  &wav{path: filepath.Join(t.TempDir(), "a.wav")},
		"tape": &tape{},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { proveOutput(t, out) })
		})
	}
}

func TestNull_AbsoluteSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		feed := &proof{}
		done := make(chan error)
		go func() { done <- null{}.Run(ctx, feed) }()
		time.Sleep(10*time.Minute + time.Millisecond)
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if want := 600*outputRate + blockFrames; feed.frames != want {
			t.Errorf("%d frames in ten minutes, want %d", feed.frames, want)
		}
	})
}

func TestParseOutput(t *testing.T) {
	dir := t.TempDir()
	thesis := filepath.Join(dir, "thesis.txt")
	if err := os.WriteFile(thesis, []byte("ten years"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, spec, says string }{
		{"a file that exists", "wav:" + thesis, "exists: name another file, or remove it first"},
		{"null", "null", ""},
		{"none", "none", ""},
		{"speaker", "speaker", ""},
		{"wav", "wav:" + filepath.Join(dir, "a.wav"), ""},
		{"nothing", "", "choose speaker, null, none or wav:FILE"},
		{"unknown", "mp3:x", "choose speaker, null, none or wav:FILE"},
		{"wav alone", "wav", "name the file"},
		{"wav without file", "wav:", "name the file"},
		{"no folder", "wav:" + filepath.Join(dir, "none", "a.wav"), "its folder must exist"},
		{"a folder", "wav:" + dir, "not a folder"},
		{"null with more", "null:x", "choose"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := ParseOutput(c.spec)
			if c.says == "" {
				if err != nil || out.Name() != c.spec {
					t.Errorf("%v, %v", out, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want one that says %q", err, c.says)
			}
		})
	}
}
