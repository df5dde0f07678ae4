package screen

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"go.uber.org/goleak"

	"conga/cmd/internal/console"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shown is the output so far, on which a test can wait.
type shown struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{}
}

func newShown() *shown { return &shown{more: make(chan struct{}, 1)} }

func (s *shown) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.more <- struct{}{}:
	default:
	}
	return s.text.Write(p)
}

func (s *shown) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func (s *shown) waitFor(t *testing.T, text string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for !strings.Contains(s.String(), text) {
		select {
		case <-s.more:
		case <-deadline:
			t.Fatalf("no %q in:\n%s", text, s)
		}
	}
}

// moments is a Source whose snapshot a test can change.
type moments struct {
	mu  sync.Mutex
	now Snapshot
}

func (m *moments) set(s Snapshot) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = s
}

func (m *moments) snapshot() Snapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

func none(context.Context, string) Found { return Found{} }

func echo(_ context.Context, line string) []string { return []string{"answer to " + line} }

func TestLines(t *testing.T) {
	var now moments
	now.set(playing(2))
	news := make(chan News)
	in, typing := io.Pipe()
	out := newShown()
	done := make(chan error, 1)
	go func() {
		done <- Lines(t.Context(), Source{Snapshot: now.snapshot, Ask: echo, News: news}, in, out, console.UTF8)
	}()

	out.waitFor(t, "now playing: Prelude in C major · J. S. Bach (bach.mp3, 0:39), asked for by amy\n")
	out.waitFor(t, "chain: server → amy → bob 🔊\nqueue: beethoven.mp3, pachelbel.mp3\non the loudspeaker\n")
	next := playing(1)
	next.Song, next.Title, next.Asked, next.Queue = "pachelbel.mp3", "", "", nil
	now.set(next)
	out.waitFor(t, "now playing: pachelbel.mp3 (pachelbel.mp3, 0:39), chosen at random\nchain: server → amy 🔊\nqueue: empty\n")
	news <- News{Text: "bob left"}
	out.waitFor(t, "bob left\n")
	io.WriteString(typing, "\nSONGS\n")
	out.waitFor(t, "answer to SONGS\n")
	io.WriteString(typing, "end\n")
	if err := <-done; err != nil {
		t.Errorf("END is an error: %v", err)
	}
	if n := strings.Count(out.String(), "now playing"); n != 2 {
		t.Errorf("two songs were announced %d times", n)
	}
	typing.Close()
}

func TestLines_EndOfInputIsNotEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var now moments
	out := newShown()
	done := make(chan error, 1)
	go func() {
		done <- Lines(ctx, Source{Snapshot: now.snapshot, Ask: echo, Search: none}, strings.NewReader("SONGS"), out, console.UTF8)
	}()
	out.waitFor(t, "answer to SONGS\n")
	now.set(playing(1)) // snapshots are still taken
	out.waitFor(t, "now playing")
	cancel()
	if err := <-done; err != nil {
		t.Errorf("a signal is an error: %v", err)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("gone") }

func TestLines_ReaderGone(t *testing.T) {
	var now moments
	now.set(playing(1))
	err := Lines(t.Context(), Source{Snapshot: now.snapshot, Ask: echo, Search: none}, strings.NewReader(""), broken{}, console.UTF8)
	if err == nil || !strings.Contains(err.Error(), "gone") {
		t.Errorf("it goes on writing: %v", err)
	}
}

func TestChanges_SameSongAgain(t *testing.T) {
	before, now := playing(1), playing(1)
	now.Elapsed = 0
	if lines := changes(before, now); len(lines) != 1 {
		t.Errorf("played again: %q", lines)
	}
	now.Elapsed = before.Elapsed - pollEvery/2 // the clock was corrected
	if lines := changes(before, now); len(lines) != 0 {
		t.Errorf("clock corrected: %q", lines)
	}
}

// The picture runs on any reader and writer. The environment says whether there are colours.
func TestPicture(t *testing.T) {
	for _, test := range []struct {
		name  string
		env   []string
		wants string
		never string
	}{
		{"colour", []string{"TERM=xterm-256color", "CLICOLOR_FORCE=1"}, "\x1b[36m", ""},
		{"NO_COLOR", []string{"TERM=xterm-256color", "CLICOLOR_FORCE=1", "NO_COLOR=yes"}, "Prelude", "\x1b[36m"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var now moments
			now.set(playing(3))
			in, typing := io.Pipe()
			defer typing.Close()
			out := newShown()
			done := make(chan error, 1)
			go func() {
				done <- showPicture(t.Context(), Source{Snapshot: now.snapshot, Ask: echo, Search: none}, in, out, false,
					test.env, tea.WithWindowSize(80, 24))
			}()
			out.waitFor(t, "bob")
			out.waitFor(t, test.wants)
			io.WriteString(typing, "SONGS\r")
			out.waitFor(t, "answer to SONGS")
			io.WriteString(typing, "END\r")
			if err := <-done; err != nil {
				t.Error(err)
			}
			if test.never != "" && strings.Contains(out.String(), test.never) {
				t.Errorf("%q was written", test.never)
			}
		})
	}
}

func TestPicture_Signal(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var now moments
	now.set(playing(1))
	in, typing := io.Pipe()
	defer typing.Close()
	out := newShown()
	done := make(chan error, 1)
	go func() {
		done <- showPicture(ctx, Source{Snapshot: now.snapshot, Ask: echo, Search: none}, in, out, false, []string{"TERM=xterm"}, tea.WithWindowSize(80, 24))
	}()
	out.waitFor(t, "amy")
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestScanner_LineTooLong(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var now moments
	out := newShown()
	done := make(chan error, 1)
	go func() {
		done <- Lines(ctx, Source{Snapshot: now.snapshot, Ask: echo, Search: none}, strings.NewReader(strings.Repeat("x", 1<<20)), out, console.UTF8)
	}()
	out.waitFor(t, bufio.ErrTooLong.Error())
	cancel()
	<-done
}
