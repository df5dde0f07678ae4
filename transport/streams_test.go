package transport

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"conga/messages"
)

// tape is a Cursor over items that a test puts in.
type tape struct {
	items  chan *messages.Item
	closed chan struct{}
}

func newTape(items ...*messages.Item) *tape {
	t := &tape{items: make(chan *messages.Item, 256), closed: make(chan struct{})}
	for _, item := range items {
		t.items <- item
	}
	return t
}

func (t *tape) Next(ctx context.Context) (*messages.Item, error) {
	select {
	case item, ok := <-t.items:
		if !ok {
			return nil, io.EOF
		}
		return item, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (t *tape) Close() { close(t.closed) }

var (
	testSong = &messages.SongChange{Number: 7, Song: "bach.mp3", SampleRate: 44100, Frames: 100, FramesPerChunk: 4}
	testSeal = &messages.Seal{Epoch: 3, First: 1}
)

func testChunk(number uint64, seal *messages.Seal) *messages.Item {
	item := messages.NewChunk(number, int64(number-8)*4, []byte("music"))
	item.Song, item.Seal = testSong, seal
	return item
}

// streamHouse is a node's stream port with a probe for its relay.
type streamHouse struct {
	system *actor.ActorSystem
	pid    *actor.PID
	told   <-chan any
	count  *Counters
}

func openStreams(t *testing.T, l net.Listener, change func(*StreamsConfig)) streamHouse {
	t.Helper()
	system := newSystem(t)
	owner, told := probe(t, system)
	cfg := StreamsConfig{
		Listener: l, Owner: owner,
		Open:     func(*messages.OpenStream) (Cursor, error) { return newTape(), nil },
		Self:     func() *messages.Node { return &messages.Node{Id: messages.ServerID} },
		Epoch:    func() uint64 { return 3 },
		Counters: &Counters{},
	}
	if change != nil {
		change(&cfg)
	}
	return streamHouse{system, spawn(t, system, Streams(cfg)), told, cfg.Counters}
}

// hiOf is amy's HI to the server.
func hiOf(t *testing.T, next uint64) []byte {
	t.Helper()
	return saidBy(t, amy, &messages.OpenStream{Node: &messages.Node{Name: "amy"}, Next: next})
}

// saidBy returns the HI signed by this identity now, to the server if it names no node.
func saidBy(t *testing.T, who *Identity, open *messages.OpenStream) []byte {
	t.Helper()
	open.Version, open.Upstream = messages.DialectVersion, cmp.Or(open.GetUpstream(), messages.ServerID)
	who.SignOpen(open, time.Now().UnixMicro())
	return mustFrame(t, messages.KindHi, open)
}

func send(t *testing.T, conn net.Conn, b []byte) {
	t.Helper()
	if _, err := conn.Write(b); err != nil {
		t.Fatal(err)
	}
}

func TestStreams_Newcomer(t *testing.T) {
	l := listen(t)
	music := newTape(testChunk(9, testSeal), testChunk(10, testSeal), testChunk(11, &messages.Seal{First: 11}))
	house := openStreams(t, l, func(c *StreamsConfig) {
		c.Open = func(open *messages.OpenStream) (Cursor, error) { return music, nil }
	})
	conn := dial(t, l)
	for _, b := range hiOf(t, 0) { // a header that arrives byte by byte is a header
		send(t, conn, []byte{b})
	}
	r := bufio.NewReader(conn)
	answer := unmarshal(t, readFrame(t, r, messages.KindHi).Payload, &messages.StreamOpened{})
	if answer.GetFirst() != 9 || answer.GetEpoch() != 3 || answer.GetNode().GetId() != messages.ServerID {
		t.Errorf("answered %v", answer)
	}
	if opened := await[*messages.DownstreamOpened](t, house.told); opened.Node.GetName() != "amy" {
		t.Errorf("opened for %v", opened.Node)
	}
	// Into the middle of a song: the seal, the song, the chunk; then only what is new.
	readFrame(t, r, messages.KindSeal)
	song := unmarshal(t, readFrame(t, r, messages.KindSongChange).Payload, &messages.SongChange{})
	if !proto.Equal(song, testSong) {
		t.Errorf("the song before the first chunk is %v", song)
	}
	for number := uint64(9); number <= 11; number++ {
		if number == 11 {
			readFrame(t, r, messages.KindSeal)
		}
		item, err := messages.ParseItem(messages.KindChunk, readFrame(t, r, messages.KindChunk).Payload)
		if err != nil || item.Number != number || !bytes.Equal(item.Frames, []byte("music")) {
			t.Errorf("item %v, %v, want number %d", item, err, number)
		}
	}
	readFrame(t, r, messages.KindHeartbeat) // nothing to say is said
	_ = conn.Close()
	if closed := await[*messages.DownstreamClosed](t, house.told); closed.Node.GetId() != amyID || closed.Reason == "" {
		t.Errorf("closed %v", closed)
	}
	<-music.closed
	if house.count.Chunks.Load() != 3 || house.count.Bytes.Load() < 3*5 {
		t.Errorf("counted %d chunks, %d bytes", house.count.Chunks.Load(), house.count.Bytes.Load())
	}
}

func TestStreams_Context(t *testing.T) {
	change, err := messages.NewSongChange(testSong)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		next  uint64
		first *messages.Item
		want  string
	}{
		{"resumed without a gap", 9, testChunk(9, nil), "SC"},
		{"resumed after a gap", 8, testChunk(9, nil), "NS SC"},
		{"newcomer", 0, testChunk(9, nil), "NS SC"},
		{"newcomer at a song's start", 0, change, "NS SC"},
		{"resumed at a song's start", 7, change, "NS SC"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := listen(t)
			openStreams(t, l, func(cfg *StreamsConfig) {
				cfg.Open = func(*messages.OpenStream) (Cursor, error) {
					return newTape(c.first, testChunk(10, nil)), nil
				}
			})
			conn := dial(t, l)
			send(t, conn, saidBy(t, amy, &messages.OpenStream{Node: &messages.Node{Name: "amy"}, Next: c.next, Holes: true}))
			r := bufio.NewReader(conn)
			readFrame(t, r, messages.KindHi)
			var kinds []string
			for {
				frame, err := ReadFrame(r)
				if err != nil {
					t.Fatal(err)
				}
				if item, err := messages.ParseItem(frame.Kind, frame.Payload); err == nil && item.Number == 10 {
					break
				}
				kinds = append(kinds, string(frame.Kind))
			}
			if c.first.Change != nil {
				kinds = append(kinds, "SC") // the one that ended the loop
			}
			if got := strings.Join(kinds, " "); got != c.want {
				t.Errorf("sent %s, want %s", got, c.want)
			}
		})
	}
}

// After a hole the listener is in another song: it is told which, or it would have to think that
// the upstream lies.
func TestStreams_HoleOverASongChange(t *testing.T) {
	l := listen(t)
	other := messages.NewChunk(30, 8, []byte("music"))
	other.Song = &messages.SongChange{Number: 27, Song: "pachelbel.mp3", SampleRate: 44100, Frames: 100, FramesPerChunk: 4}
	openStreams(t, l, func(cfg *StreamsConfig) {
		cfg.Open = func(*messages.OpenStream) (Cursor, error) { return newTape(testChunk(9, nil), other), nil }
	})
	conn := dial(t, l)
	send(t, conn, hiOf(t, 9))
	r := bufio.NewReader(conn)
	readFrame(t, r, messages.KindHi)
	readFrame(t, r, messages.KindChunk)
	change := unmarshal(t, readFrame(t, r, messages.KindSongChange).Payload, &messages.SongChange{})
	if !proto.Equal(change, other.Song) {
		t.Errorf("told of %v", change)
	}
	readFrame(t, r, messages.KindChunk)
}

// anew is a node whose broadcast begins anew after the first item.
type anew struct{ *tape }

func (a anew) Next(ctx context.Context) (*messages.Item, error) {
	if len(a.items) == 0 {
		return nil, messages.ErrAnew
	}
	return a.tape.Next(ctx)
}

// A node that begins anew sends DC, like one that leaves, so that it is not blamed.
func TestStreams_Anew(t *testing.T) {
	l := listen(t)
	openStreams(t, l, func(cfg *StreamsConfig) {
		cfg.Open = func(*messages.OpenStream) (Cursor, error) { return anew{newTape(testChunk(9, nil))}, nil }
	})
	conn := dial(t, l)
	send(t, conn, hiOf(t, 9))
	r := bufio.NewReader(conn)
	for _, kind := range []messages.Kind{messages.KindHi, messages.KindChunk, messages.KindLeaving} {
		readFrame(t, r, kind)
	}
}

func signedBy(who *Identity) *messages.OpenStream {
	open := &messages.OpenStream{Upstream: messages.ServerID}
	who.SignOpen(open, time.Now().UnixMicro())
	return open
}

func TestStreams_Goodbye(t *testing.T) {
	for name, c := range map[string]struct {
		upstream func() string
		want     string
		goes     bool
	}{
		"the listener goes":  {func() string { return "192.0.2.7:7001" }, "HOST#192.0.2.7#PORT#7002", true},
		"the listener stays": {func() string { return "" }, "", false},
		"no upstream":        {nil, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newPipes()
				house := openStreams(t, l, func(cfg *StreamsConfig) { cfg.Upstream = c.upstream })
				conn := l.dial(t)
				send(t, conn, hiOf(t, 0))
				r := bufio.NewReader(conn)
				readFrame(t, r, messages.KindHi)
				await[*messages.DownstreamOpened](t, house.told)
				start := time.Now()
				house.system.Root.Send(house.pid, &messages.SayGoodbye{})
				if got := string(readFrame(t, r, messages.KindLeaving).Payload); got != c.want {
					t.Errorf("said goodbye with %q, want %q", got, c.want)
				}
				want := goodbyePatience
				if c.goes {
					want = 0
					_ = conn.Close()
				}
				closed := await[*messages.DownstreamClosed](t, house.told)
				if took := time.Since(start); took != want || closed.Reason != errLeaving.Error() {
					t.Errorf("closed after %v for %q", took, closed.Reason)
				}
				select {
				case <-l.done:
				default:
					t.Error("a node that leaves still takes listeners in")
				}
			})
		})
	}
}

func TestStreams_Seed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newPipes()
		openStreams(t, l, func(c *StreamsConfig) {
			c.Seed = func(_ context.Context, conn *Stranger) bool {
				_ = conn.SetReadDeadline(time.Now().Add(SeedGrace))
				if _, err := conn.Reader.Peek(1); err == nil {
					return false
				}
				_, _ = conn.Write([]byte("spoken to"))
				return true
			}
		})
		start := time.Now()
		conn := l.dial(t)
		b, err := io.ReadAll(conn)
		if took := time.Since(start); string(b) != "spoken to" || took != 2*SeedGrace {
			t.Errorf("a client of the seed's kind read %q, %v after %v", b, err, took)
		}
		for _, late := range []time.Duration{0, SeedGrace + time.Millisecond} {
			native := l.dial(t)
			<-time.After(late)
			send(t, native, hiOf(t, 0))
			readFrame(t, bufio.NewReader(native), messages.KindHi)
		}
	})
}
