package pacer

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"conga/actors/eventlog"
	"conga/actors/internal/mp3"
	"conga/actors/internal/seal"
	"conga/actors/pacer/place"
	"conga/actors/window"
	"conga/messages"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tape is a file of the studio.
type tape struct {
	song   *messages.Song
	data   []byte
	tearAt int                        // the disk cannot read beyond this byte; 0: it can
	stuck  func([]byte) io.ReadCloser // opens it on a disk that hangs; nil: the disk does not hang
}

var errTorn = errors.New("input/output error")

func (f tape) open() File {
	var src io.Reader = bytes.NewReader(f.data)
	if f.tearAt > 0 {
		src = io.MultiReader(bytes.NewReader(f.data[:f.tearAt]), torn{})
	}
	file := io.NopCloser(src)
	if f.stuck != nil {
		file = f.stuck(f.data)
	}
	return File{ReadCloser: file, Bytes: int64(len(f.data)), ModifiedUs: f.song.GetModifiedUnixUs()}
}

type torn struct{}

func (torn) Read([]byte) (int, error) { return 0, errTorn }

// shelf has the tapes. It stands for the scheduler and the catalog, and survives the server
// as the log and the folder do.
type shelf struct {
	mu       sync.Mutex
	tapes    map[string]tape
	turn     []string             // the songs to choose when nothing is requested, in turn
	queue    []string             // requested songs, which go first
	standing *messages.SongChosen // chosen, but not yet taken
	asked    int
}

// Receive answers the pacer.
func (s *shelf) Receive(ctx actor.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch msg := ctx.Message().(type) {
	case *messages.ChooseSong:
		s.asked++
		if s.standing == nil {
			switch {
			case len(s.queue) > 0:
				s.standing = &messages.SongChosen{Song: s.queue[0], RequestId: "r", ListenerName: "amy"}
				s.queue = s.queue[1:]
			case len(s.turn) > 0:
				s.standing = &messages.SongChosen{Song: s.turn[0]}
				s.turn = append(s.turn[1:], s.turn[0])
			default:
				ctx.Respond(&messages.NoSong{})
				return
			}
		}
		ctx.Respond(proto.CloneOf(s.standing))
	case *messages.FindSong:
		ctx.Respond(&messages.FoundSong{Song: proto.CloneOf(s.tapes[msg.Name].song)})
	}
}

func (s *shelf) taken(event proto.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.standing = nil
}

func (s *shelf) put(t testing.TB, name string, data []byte) {
	t.Helper()
	info, err := mp3.ReadInfo(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tapes[name] = tape{data: data, song: &messages.Song{
		Name: name, Title: name, SampleRate: int32(info.SampleRate), Frames: info.Frames,
		DurationUs: info.Duration.Microseconds(), FileBytes: int64(len(data)), ModifiedUnixUs: 1,
	}}
}

// change puts f's result in place of the tape.
func (s *shelf) change(name string, f func(tape) tape) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tapes[name] = f(s.tapes[name])
}

func (s *shelf) open(name, _, _ string) (File, error) {
	s.mu.Lock()
	f, ok := s.tapes[name]
	s.mu.Unlock()
	if !ok {
		return File{}, fs.ErrNotExist
	}
	return f.open(), nil
}

var theSongs = sync.OnceValue(func() map[string][]byte {
	songs := map[string][]byte{}
	for _, name := range []string{"bach.mp3", "beethoven.mp3", "pachelbel.mp3"} {
		data, err := os.ReadFile(filepath.Join("../../songs", name))
		if err != nil {
			panic(err)
		}
		songs[name] = data
	}
	return songs
})

// frames returns the frames of a song in one piece.
func frames(t testing.TB, data []byte) (all []byte, n int64) {
	t.Helper()
	r := mp3.NewReader(bytes.NewReader(data))
	for {
		frame, _, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all, n
		}
		if err != nil {
			t.Fatal(err)
		}
		all, n = append(all, frame...), n+1
	}
}

func sum(data []byte) string {
	h := sha256.Sum256(data)
	return hex.EncodeToString(h[:])
}

// immortal keeps a memory store over the restarts of its server.
type immortal struct{ eventlog.Store }

func (immortal) Close() error { return nil }

// studio is a pacer at work, inside a synctest bubble.
type studio struct {
	t      *testing.T
	store  eventlog.Store
	shelf  *shelf
	key    ed25519.PrivateKey
	offset time.Duration // error of the server's clock
	slack  time.Duration // that the host wants; 0: the usual one
	takes  time.Duration // the chain
	follow atomic.Bool   // another server leads

	log    *eventlog.Log
	system *actor.ActorSystem
	window *window.Window
	pacer  *actor.PID
	rooms  *actor.PID
	began  time.Time // when the server started last
	faint  bool      // the next Look panics the pacer
}

func newStudio(t *testing.T, names ...string) *studio {
	s := &studio{
		t: t, store: immortal{eventlog.NewMemory()}, key: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)),
		shelf: &shelf{tapes: map[string]tape{}, turn: names},
	}
	for _, name := range names {
		s.shelf.put(t, name, theSongs()[name])
	}
	return s
}

func (s *studio) now() time.Time { return time.Now().Add(s.offset) }

// start starts the server in a new epoch with an empty window.
func (s *studio) start() {
	s.t.Helper()
	s.began = s.now()
	var err error
	if s.log, err = eventlog.Open(s.store, s.now); err != nil {
		s.t.Fatal(err)
	}
	keep, err := eventlog.NewKeeper(s.log, Actor, place.State{})
	if err == nil {
		_, err = keep.Commit(&messages.OpenBroadcast{SlackUs: s.slack.Microseconds()})
	}
	if err != nil {
		s.t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	s.system = actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet }),
		actor.WithDeadLetterThrottleInterval(time.Millisecond), // its goroutine outlives the system by this
	)
	s.window = window.New()
	s.rooms = s.system.Root.Spawn(actor.PropsFromProducer(func() actor.Actor { return s.shelf }))
	s.pacer = s.system.Root.Spawn(Props(Config{
		Log: s.log, Window: s.window, Key: s.key, Now: s.now, Logger: quiet,
		Scheduler:  func() *actor.PID { return s.rooms },
		Catalog:    func() *actor.PID { return s.rooms },
		Open:       s.shelf.open,
		ChainTakes: func() (time.Duration, string) { return s.takes, "the last" },
		Leads:      func() bool { return !s.follow.Load() },
		Publish:    s.shelf.taken,
		Sent: func() (int64, int64) {
			if s.faint {
				s.faint = false
				panic("a bug")
			}
			return 0, 0
		},
	}))
}

func (s *studio) stop() {
	s.t.Helper()
	for _, pid := range []*actor.PID{s.pacer, s.rooms} {
		if err := s.system.Root.StopFuture(pid).Wait(); err != nil {
			s.t.Error(err)
		}
	}
	s.system.Shutdown()
	time.Sleep(2 * time.Millisecond) // the library's dead letter throttle ends by the bubble's clock only
	s.window.Close()
	if err := s.log.Close(); err != nil {
		s.t.Error(err)
	}
}

func (s *studio) look() (place.State, Live) {
	reply := make(chan messages.View, 1)
	s.system.Root.Send(s.pacer, &messages.Look{Reply: reply})
	view := <-reply
	return view.State.(place.State), view.Live.(Live)
}

// crash makes the actor panic; it is back when crash returns.
func (s *studio) crash() {
	s.faint = true
	s.system.Root.Send(s.pacer, &messages.Look{Reply: make(chan messages.View, 1)})
	synctest.Wait()
	if s.faint {
		s.t.Fatal("the pacer did not panic")
	}
}

// heard is an item and the time at which it left.
type heard struct {
	*messages.Item
	at time.Time
}

// read reads from the window until the deadline; next is the first number, 0 means any. It
// checks what every stretch must have: numbers without a hole, and seals.
func (s *studio) read(next uint64, until time.Duration) []heard {
	s.t.Helper()
	ctx, cancel := contextFor(s.t, until)
	defer cancel()
	cursor := s.window.Open(next)
	var all []heard
	var sealed *messages.Seal
	for {
		item, err := cursor.Next(ctx)
		if err != nil {
			return all
		}
		if len(all) > 0 && item.Number != all[len(all)-1].Number+1 {
			s.t.Errorf("item %d after %d", item.Number, all[len(all)-1].Number)
		}
		if item.Seal != sealed {
			sealed = item.Seal
			if err := seal.Verify(s.key.Public().(ed25519.PublicKey), sealed); err != nil {
				s.t.Errorf("item %d: %v", item.Number, err)
			}
		}
		if err := seal.Check(sealed, item); err != nil {
			s.t.Error(err)
		}
		all = append(all, heard{item, s.now()})
	}
}

// events returns all events of the log.
func (s *studio) events() []proto.Message {
	s.t.Helper()
	var all []proto.Message
	for record, err := range s.log.Since(0) {
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, record.Event)
	}
	return all
}

// onTime checks that the items leave when they are due, or at once if they were due before the server began.
func onTime(t *testing.T, items []heard, began time.Time) {
	t.Helper()
	for _, i := range items {
		want := due(i.Item)
		if want.Before(began) {
			want = began
		}
		if late := i.at.Sub(want); late < 0 || late > time.Millisecond {
			t.Fatalf("item %d left %v late", i.Number, late)
		}
	}
}

// gapless checks that each item is heard just when the one before it is over.
func gapless(t *testing.T, items []heard) {
	t.Helper()
	for n, i := range items[1:] {
		before := items[n]
		over := before.PlayAt()
		if before.Change == nil {
			frames := min(int64(before.Song.GetFramesPerChunk()), before.Song.GetFrames()-before.FirstFrame)
			over = before.Song.GetPlayAtUnixUs() + messages.FrameOffset(before.FirstFrame+frames, before.Song.GetSampleRate()).Microseconds()
		}
		if i.PlayAt() != over {
			t.Fatalf("item %d of %s is heard %d us after item %d is over", i.Number, i.Song.GetSong(), i.PlayAt()-over, before.Number)
		}
	}
}
