package node

import (
	"bufio"
	"crypto/ed25519"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"conga/actors/window"
	"conga/messages"
	"conga/transport"
)

// While a listener reads, the goroutine that brings an item sends it. A listener that does not read holds up nobody, and
// gets what it has missed from where it stopped, to the byte; when the node leaves meanwhile, that comes after it.
func TestStreams_Direct(t *testing.T) {
	for name, leaves := range map[string]bool{"music goes on": false, "node leaves": true} {
		t.Run(name, func(t *testing.T) { sendsDirectly(t, leaves) })
	}
}

func sendsDirectly(t *testing.T, leaves bool) {
	song := &messages.SongChange{Number: 7, Song: "bach.mp3", SampleRate: 44100, Frames: 400, FramesPerChunk: 4}
	w, count := window.New(), &transport.Counters{}
	defer w.Close()
	add := func(number uint64) {
		item := messages.NewChunk(number, int64(number-8)*4, make([]byte, 9000)) // no socket takes many of them
		item.Song = song
		if err := w.Append(item); err != nil {
			t.Fatal(err)
		}
	}
	add(8)

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	system := actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }),
		actor.WithDeadLetterThrottleInterval(time.Millisecond),
	)
	defer system.Shutdown()
	owner := system.Root.Spawn(actor.PropsFromFunc(func(actor.Context) {}))
	streams := system.Root.Spawn(transport.Streams(transport.StreamsConfig{
		Listener: l, Owner: owner, Counters: count,
		Open:   func(open *messages.OpenStream) (transport.Cursor, error) { return w.Open(open.GetNext()), nil },
		Self:   func() *messages.Node { return &messages.Node{Id: messages.ServerID} },
		Epoch:  func() uint64 { return 3 },
		Newest: func() uint64 { return w.Next() - 1 },
	}))
	defer func() { _ = system.Root.StopFuture(streams).Wait() }()

	amy := transport.IdentityOf(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	open := &messages.OpenStream{Node: &messages.Node{Name: "amy"}, Next: 8, Upstream: messages.ServerID}
	amy.SignOpen(open, time.Now().UnixMicro())
	payload, err := proto.Marshal(open)
	if err != nil {
		t.Fatal(err)
	}
	hi, err := transport.AppendFrame(nil, transport.Frame{Kind: messages.KindHi, Payload: payload})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(hi); err != nil {
		t.Fatal(err)
	}

	r, last, left := bufio.NewReader(conn), uint64(7), false
	read := func() { // the next item, or that the node leaves
		for {
			frame, err := transport.ReadFrame(r)
			if err != nil {
				t.Fatalf("after item %d: %v", last, err)
			}
			switch frame.Kind {
			case messages.KindHi, messages.KindHeartbeat, messages.KindSongChange:
				continue
			case messages.KindLeaving:
				left = true
				return
			}
			item, err := messages.ParseItem(frame.Kind, frame.Payload)
			if err != nil || item.Number != last+1 {
				t.Fatalf("after item %d came %v, %v", last, item, err)
			}
			last++
			return
		}
	}
	read()
	next, atOnce := uint64(9), false
	for ; next < 3000 && !atOnce; next++ { // its sender may not wait for more yet
		before := count.Chunks.Load()
		add(next)
		atOnce = count.Chunks.Load() == before+1
		read()
	}
	if !atOnce {
		t.Error("no item is sent before Append returns")
	}
	end := next + 90
	for ; next < end; next++ {
		add(next)
	}
	if count.Chunks.Load() >= int64(end-8) {
		t.Error("nothing was held up")
	}
	if leaves {
		system.Root.Send(streams, &messages.SayGoodbye{})
	}
	for last < end-1 && !left {
		read()
	}
	if leaves && !left {
		read()
	}
	if left != leaves {
		t.Errorf("it says that it leaves: %v", left)
	}
}
