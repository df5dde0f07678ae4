package catalog

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/goleak"

	"conga/actors/eventlog"
	"conga/messages"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 2 * time.Minute

// song is a whole song of the house.
func song(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../../songs", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// put puts an old file into dir. It is whole when it appears.
func put(t testing.TB, dir, name string, content []byte) {
	t.Helper()
	drop(t, dir, name, content, time.Now().Add(-time.Hour))
}

// drop puts a file into dir that was written to at `at`. It appears whole: however
// slow the machine, no look can find half of it.
func drop(t testing.TB, dir, name string, content []byte, at time.Time) {
	t.Helper()
	hidden := filepath.Join(dir, ".dropped")
	if err := os.WriteFile(hidden, content, 0o644); err != nil {
		t.Fatal(err)
	}
	touch(t, hidden, at)
	if err := os.Rename(hidden, filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

func touch(t testing.TB, path string, at time.Time) {
	t.Helper()
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

// house is a running catalog with its log.
type house struct {
	t      *testing.T
	log    *eventlog.Log
	system *actor.ActorSystem
	pid    *actor.PID
	said   *lines
	ready  chan struct{} // whenever Ready is called
	next   func() (eventlog.Record, error, bool)
}

// open starts a catalog for dir on log, nil for a new one, and stops it when the test ends.
func open(t *testing.T, dir string, log *eventlog.Log, opts ...actor.PropsOption) *house {
	t.Helper()
	return openPolling(t, dir, log, 20*time.Millisecond, opts...) // far shorter than in earnest
}

func openPolling(t *testing.T, dir string, log *eventlog.Log, poll time.Duration, opts ...actor.PropsOption) *house {
	t.Helper()
	return openAs(t, Config{Dir: dir, Poll: poll}, log, opts...)
}

// openAs is open for what the config says of the folder.
func openAs(t *testing.T, cfg Config, log *eventlog.Log, opts ...actor.PropsOption) *house {
	t.Helper()
	if log == nil {
		var err error
		if log, err = eventlog.Open(eventlog.NewMemory(), time.Now); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = log.Close() })
	}
	h := &house{t: t, log: log, said: &lines{}, ready: make(chan struct{}, 10)}
	discard := slog.New(slog.DiscardHandler)
	h.system = actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return discard }),
		// Its goroutine outlives the system by this much, and goleak would see it.
		actor.WithDeadLetterThrottleInterval(time.Millisecond),
	)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	next, stop := iter.Pull2(log.Watch(ctx, log.Last()))
	h.next = next
	cfg.Log, cfg.Logger = log, slog.New(slog.NewTextHandler(h.said, nil))
	cfg.Settle, cfg.Ready = 5*time.Millisecond, func() { h.ready <- struct{}{} }
	h.pid = h.system.Root.Spawn(Props(cfg).Configure(opts...))
	t.Cleanup(func() {
		stop()
		cancel()
		if err := h.system.Root.PoisonFuture(h.pid).Wait(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// expect waits for the next events of the log and wants them to be these, "added
// bach.mp3", "to convert bach.ogg", "converted bach.ogg", "removed bach.mp3", "rejected bach.mp3", "away" or "back".
func (h *house) expect(want ...string) {
	h.t.Helper()
	for _, want := range want {
		record, err, ok := h.next()
		if err != nil || !ok {
			h.t.Fatalf("no event (%v), want %s; it said\n%s", err, want, h.said)
		}
		got := fmt.Sprintf("%T", record.Event)
		switch event := record.Event.(type) {
		case *messages.SongAdded:
			got = map[messages.Song_Form]string{
				messages.Song_FORM_MP3: "added ", messages.Song_FORM_OTHER: "to convert ", messages.Song_FORM_CONVERTED: "converted ",
			}[event.GetSong().GetForm()] + event.GetSong().GetName()
		case *messages.SongRemoved:
			got = "removed " + event.GetName()
		case *messages.SongRejected:
			got = "rejected " + event.GetName()
		case *messages.SongsAway:
			got = "away"
		case *messages.SongsBack:
			got = "back"
		}
		if got != want {
			h.t.Fatalf("got %s, want %s", got, want)
		}
	}
}

// songs asks the catalog itself.
func (h *house) songs() []string {
	h.t.Helper()
	answers := make(chan *messages.List, 1)
	asker := h.system.Root.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
		if list, ok := ctx.Message().(*messages.List); ok {
			answers <- list
		}
	}))
	defer func() { _ = h.system.Root.PoisonFuture(asker).Wait() }()
	h.system.Root.RequestWithCustomSender(h.pid, &messages.ListSongs{}, asker)
	select {
	case list := <-answers:
		return list.Names
	case <-time.After(patience):
		h.t.Fatal("no answer to ListSongs")
		return nil
	}
}

// view is what the dump would show.
func (h *house) view() messages.View {
	h.t.Helper()
	reply := make(chan messages.View, 1)
	h.system.Root.Send(h.pid, &messages.Look{Reply: reply})
	select {
	case view := <-reply:
		return view
	case <-time.After(patience):
		h.t.Fatal("no answer to Look")
		return messages.View{}
	}
}

// looksDone waits until n more whole looks are over.
func (h *house) looksDone(n uint64) {
	h.t.Helper()
	until := h.view().Live.(live).Looks + n + 1 // the one under way may have begun before
	for deadline := time.Now().Add(patience); h.view().Live.(live).Looks < until; {
		if time.Now().After(deadline) {
			h.t.Fatal("it does not look any more")
		}
	}
}

// lines keeps what was logged.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// count says how many lines contain s.
func (l *lines) count(s string) int {
	n := 0
	for line := range strings.Lines(l.String()) {
		if strings.Contains(line, s) {
			n++
		}
	}
	return n
}
