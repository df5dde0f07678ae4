package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"conga/actors/player"
	"conga/cmd/internal/keys"
	"conga/cmd/internal/node"
	"conga/messages"
	"conga/transport"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
)

// lie is what a relay of hers does with the music.
type lie int

const (
	otherEpoch lie = iota // says that it is of a broadcast to come
	everLater             // a little later with each chunk, and "sent just now"
	skips                 // leaves out every fifth chunk
	alters                // changes a byte of every tenth
	mute                  // heartbeats, no music
	lies
)

// liar is a relay of hers in the chain: an honest listener behind a door that lies, once it is
// told to.
type liar struct {
	*mallory
	door   net.Listener
	behind string // address of the honest listener's relay
	node   *node.Listener
	system *actor.ActorSystem
	lie    lie
	lying  atomic.Bool
	life   context.Context
	end    context.CancelFunc
	talks  sync.WaitGroup
}

func (m *mallory) newLiar(t testing.TB, l lie) *liar {
	t.Helper()
	door, err := net.ListenTCP("tcp", m.from.(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	silent, err := player.ParseOutput("none")
	if err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	system := actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet }),
		actor.WithDeadLetterThrottleInterval(time.Millisecond), // it ends with the test
	)
	x := &liar{mallory: m, door: door, lie: l, system: system}
	x.life, x.end = context.WithCancel(context.Background())
	t.Cleanup(x.close)
	addr := m.server.requests()
	behind, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	x.behind = behind.Addr().String()
	x.talks.Go(func() { // before it joins: the server tries the door
		for {
			conn, err := door.Accept()
			if err != nil {
				return
			}
			x.talks.Go(func() { x.serve(conn) })
		}
	})
	x.node, err = node.StartListener(t.Context(), node.ListenerOptions{
		Server: addr, Keys: keys.NewRing(addr, nil, ""), Name: "mallory", Listen: "127.0.0.1:0", Advertise: door.Addr().String(),
		Output: silent, News: func(*messages.Playing) {}, Logger: quiet, System: x.system,
		Dial: func(ctx context.Context, addr string) (net.Conn, error) {
			return (&net.Dialer{LocalAddr: m.from, Timeout: time.Second}).DialContext(ctx, "tcp", addr)
		},
		Bind: func(string) (net.Listener, error) { return behind, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func (x *liar) close() {
	x.end()
	_ = x.door.Close()
	if x.node != nil {
		_ = x.node.Leave()
	}
	x.talks.Wait()
	x.system.Shutdown()
}

// serve passes on what a listener and the relay behind say to each other.
func (x *liar) serve(conn net.Conn) {
	defer conn.Close()
	defer context.AfterFunc(x.life, func() { _ = conn.Close() })()
	behind, err := net.Dial("tcp", x.behind)
	if err != nil {
		return
	}
	defer behind.Close()
	x.talks.Go(func() {
		_, _ = io.Copy(behind, conn)
		_ = behind.Close()
	})
	r := bufio.NewReader(behind)
	for n := 0; ; n++ {
		frame, err := transport.ReadFrame(r)
		if err != nil {
			return
		}
		if x.lying.Load() {
			x.tried(fmt.Sprint("frames of liar ", x.lie))
			if frame, err = x.tamper(frame, n); errors.Is(err, errKept) {
				continue
			}
		}
		said, err := transport.AppendFrame(nil, frame)
		if err != nil {
			return
		}
		if _, err := conn.Write(said); err != nil {
			return
		}
	}
}

var errKept = errors.New("it keeps that to itself")

func (x *liar) tamper(frame transport.Frame, n int) (transport.Frame, error) {
	chunk := frame.Kind == messages.KindChunk
	switch {
	case x.lie == otherEpoch && frame.Kind == messages.KindHi:
		answer := &messages.StreamOpened{}
		if err := proto.Unmarshal(frame.Payload, answer); err != nil {
			return frame, err
		}
		answer.Epoch, answer.Newest = 1<<62, 1<<62
		payload, err := proto.Marshal(answer)
		frame.Payload = payload
		return frame, err
	case x.lie == everLater && frame.Kind == messages.KindHeartbeat:
		frame.Payload = messages.AppendTime(nil, time.Now().UnixMicro())
	case x.lie == everLater && chunk:
		select {
		case <-time.After(150 * time.Millisecond): // for 110 ms of music
		case <-x.life.Done():
		}
	case x.lie == skips && chunk && n%5 == 0, x.lie == mute && (chunk || frame.Kind == messages.KindSongChange):
		return frame, errKept
	case x.lie == alters && chunk && n%10 == 0:
		frame.Payload[len(frame.Payload)-1] ^= 1
	}
	return frame, nil
}
