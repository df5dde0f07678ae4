package transport

import (
	"bufio"
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"conga/messages"
)

// child spawns props under a parent that keeps all messages of its child, and passes on to it all that
// the parent gets.
func child(t *testing.T, system *actor.ActorSystem, props *actor.Props) (*actor.PID, <-chan any) {
	t.Helper()
	heard := make(chan any, 4096)
	var kid *actor.PID
	return spawn(t, system, actor.PropsFromFunc(func(ctx actor.Context) {
		switch msg := ctx.Message().(type) {
		case *actor.Started:
			kid = ctx.Spawn(props)
		case *messages.Credit, *messages.Hello, *messages.Ask, *messages.LeaveChain, *messages.ClockPing:
			ctx.Send(kid, msg)
		case poison:
			ctx.Poison(kid)
		case *actor.Stopping, *actor.Stopped, *actor.Terminated:
		default:
			heard <- msg
		}
	}, stopBroken())), heard
}

type poison struct{}

// openUpstream uses a pipe instead of a network: the test plays the upstream.
func openUpstream(t *testing.T, silence time.Duration) (*actor.ActorSystem, *actor.PID, <-chan any, net.Conn) {
	t.Helper()
	system := newSystem(t)
	here, there := net.Pipe()
	t.Cleanup(func() { _ = here.Close() })
	relay, told := child(t, system, Upstream(UpstreamConfig{
		Link: 5, Silence: func() time.Duration { return silence },
		Dial: func(context.Context, string) (net.Conn, error) { return there, nil },
		Open: &messages.OpenStream{Version: 1, Node: &messages.Node{Id: amyID}, Next: 9},
	}))
	return system, relay, told, here
}

func openedBytes(t *testing.T) []byte {
	t.Helper()
	return mustFrame(t, messages.KindHi, &messages.StreamOpened{Version: 1, First: 9})
}

func chunkBytes(t *testing.T, number uint64) []byte {
	t.Helper()
	b, err := AppendFrame(nil, Frame{messages.KindChunk, messages.NewChunk(number, 0, []byte("music")).Payload})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestUpstream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, told, conn := openUpstream(t, messages.SilenceIsDeath)
		hi := unmarshal(t, readFrame(t, bufio.NewReader(conn), messages.KindHi).Payload, &messages.OpenStream{})
		if hi.GetNext() != 9 || hi.GetNode().GetId() != amyID {
			t.Errorf("asked with %v", hi)
		}
		send(t, conn, openedBytes(t))
		if opened := await[*messages.UpstreamOpened](t, told); opened.Link != 5 || opened.Answer.GetFirst() != 9 {
			t.Errorf("opened %v", opened)
		}
		change, err := messages.NewSongChange(testSong)
		if err != nil {
			t.Fatal(err)
		}
		send(t, conn, mustFrame(t, messages.KindSeal, testSeal))
		send(t, conn, append([]byte("NS"), mustFrame(t, "XX", testSong)[2:]...))
		send(t, conn, []byte("HB0   ZZ3   new"))
		send(t, conn, chunkBytes(t, 9))
		send(t, conn, []byte("DC0   DC0   "))
		if seal := await[*messages.UpstreamSeal](t, told); seal.Link != 5 || !proto.Equal(seal.Seal, testSeal) {
			t.Errorf("seal %v", seal)
		}
		if item := await[*messages.UpstreamItem](t, told); item.Link != 5 || item.Item.Number != change.Number || item.Item.Change == nil {
			t.Errorf("item %v", item)
		}
		if item := await[*messages.UpstreamItem](t, told); string(item.Item.Frames) != "music" || item.Item.Number != 9 {
			t.Errorf("item %v", item)
		}
		if leaving := await[*messages.UpstreamLeaving](t, told); leaving.Link != 5 {
			t.Errorf("leaving %v", leaving)
		}
		_ = conn.Close()
		if closed := await[*messages.UpstreamClosed](t, told); closed.Link != 5 || closed.Reason != errUpstreamGone.Error() {
			t.Errorf("closed %v", closed)
		}
	})
}

// However a link ends, UpstreamClosed comes once, last, and with a reason.
func TestUpstream_Closed(t *testing.T) {
	for name, c := range map[string]struct {
		bytes string
		want  string
	}{
		"refused":           {string(mustFrame(t, messages.KindHi, &messages.StreamOpened{Refused: "full\n\x1b[2J"})), "refused: full [2J"},
		"garbage":           {"HTTP/1.1 400", `header "HTTP/1" has no length: not a frame of the stream`},
		"music before HI":   {"HB0   ", "HB before HI: not a frame of the stream"},
		"no protobuf":       {"HI1   \xff", "HI: not a frame of the stream"},
		"HI twice":          {string(openedBytes(t)) + "HI0   ", "HI twice: not a frame of the stream"},
		"malformed chunk":   {string(openedBytes(t)) + "SC1   \x00", "chunk without a number: malformed payload"},
		"malformed seal":    {string(openedBytes(t)) + "SG1   \xff", "SG: not a frame of the stream"},
		"seals and no item": {string(openedBytes(t)) + "SG0   SG0   SG0   SG0   SG0   ", "5 seals and no item: not a frame of the stream"},
		"nothing":           {"", "silent for 1s"},
		"half a header":     {"HI", "silent for 1s"},
		"silence after HI":  {string(openedBytes(t)), "silent for 1s"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, _, told, conn := openUpstream(t, messages.SilenceIsDeath)
				readFrame(t, bufio.NewReader(conn), messages.KindHi)
				start := time.Now()
				_, _ = conn.Write([]byte(c.bytes))
				ends(t, conn)
				synctest.Wait()
				var last any
				closed := 0
				for len(told) > 0 {
					last = <-told
					if _, is := last.(*messages.UpstreamClosed); is {
						closed++
					}
				}
				got, is := last.(*messages.UpstreamClosed)
				if !is || closed != 1 || got.Reason != c.want || got.Link != 5 {
					t.Errorf("%d times closed, the last word was %T %v, want %q", closed, last, last, c.want)
				}
				if took := time.Since(start); took > messages.SilenceIsDeath {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// A heartbeat is a sign of life, bytes that trickle are not.
func TestUpstream_Heartbeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, told, conn := openUpstream(t, messages.SilenceIsDeath)
		readFrame(t, bufio.NewReader(conn), messages.KindHi)
		send(t, conn, openedBytes(t))
		await[*messages.UpstreamOpened](t, told)
		beat := time.NewTicker(900 * time.Millisecond)
		defer beat.Stop()
		for range 10 {
			<-beat.C
			send(t, conn, []byte("HB0   "))
		}
		start := time.Now()
		for _, b := range []byte("HB0") {
			<-beat.C
			if _, err := conn.Write([]byte{b}); err != nil {
				break
			}
		}
		if closed := await[*messages.UpstreamClosed](t, told); closed.Reason != "silent for 1s" {
			t.Errorf("closed for %q", closed.Reason)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("trickling bytes counted as life for %v", took)
		}
	})
}

// The relay's mailbox holds no more than it has granted, and waiting for the relay is
// not the upstream's silence.
func TestUpstream_Credits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		system, relay, told, conn := openUpstream(t, messages.SilenceIsDeath)
		readFrame(t, bufio.NewReader(conn), messages.KindHi)
		send(t, conn, openedBytes(t))
		await[*messages.UpstreamOpened](t, told)
		const all = 1000
		go func() {
			b := openedBytes(t)[:0]
			for number := uint64(1); number <= all; number++ {
				b = append(b, chunkBytes(t, number)...)
			}
			_, _ = conn.Write(b)
		}()
		synctest.Wait()
		if len(told) != upstreamCredits {
			t.Fatalf("%d items without a credit, want %d", len(told), upstreamCredits)
		}
		<-time.After(time.Minute) // of the bubble's clock
		if len(told) != upstreamCredits {
			t.Fatalf("a slow relay was told more: %d", len(told))
		}
		for number := uint64(1); number <= all; number++ {
			if item := await[*messages.UpstreamItem](t, told); item.Item.Number != number {
				t.Fatalf("item %d, want %d", item.Item.Number, number)
			}
			system.Root.Send(relay, &messages.Credit{})
		}
	})
}

func TestUpstream_Dial(t *testing.T) {
	for name, c := range map[string]struct {
		dial DialFunc
		want string
	}{
		"refused": {func(context.Context, string) (net.Conn, error) { return nil, errTest }, "dial amy:1: no room at the inn"},
		"panic":   {func(context.Context, string) (net.Conn, error) { panic("torn") }, "broke down: torn"},
	} {
		t.Run(name, func(t *testing.T) {
			_, told := child(t, newSystem(t), Upstream(UpstreamConfig{Link: 5, Addr: "amy:1", Dial: c.dial}))
			if closed := await[*messages.UpstreamClosed](t, told); closed.Reason != c.want {
				t.Errorf("closed for %q, want %q", closed.Reason, c.want)
			}
		})
	}
	l := listen(t)
	_, told := child(t, newSystem(t), Upstream(UpstreamConfig{Link: 5, Addr: l.Addr().String(), Open: &messages.OpenStream{}}))
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
	if closed := await[*messages.UpstreamClosed](t, told); closed.Reason == "" {
		t.Error("a reset connection has no reason")
	}
}

func TestUpstream_Stop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		system, relay, _, conn := openUpstream(t, time.Hour)
		readFrame(t, bufio.NewReader(conn), messages.KindHi)
		stop(t, system, relay)
		if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the socket outlives its actor: %v", err)
		}
	})
}

// Both ends together, over TCP.
func TestUpstream_Streams(t *testing.T) {
	l := listen(t)
	music := newTape()
	openStreams(t, l, func(c *StreamsConfig) {
		c.Open = func(*messages.OpenStream) (Cursor, error) { return music, nil }
	})
	system := newSystem(t)
	relay, told := child(t, system, Upstream(UpstreamConfig{
		Addr: l.Addr().String(), Identity: bob, Open: &messages.OpenStream{Upstream: messages.ServerID, Next: 8}, Silence: func() time.Duration { return patience },
	}))
	await[*messages.UpstreamOpened](t, told)
	for number := uint64(8); number < 208; number++ {
		music.items <- testChunk(number, nil)
		if item := await[*messages.UpstreamItem](t, told); item.Item.Number != number {
			t.Fatalf("item %d, want %d", item.Item.Number, number)
		}
		system.Root.Send(relay, &messages.Credit{})
	}
	close(music.items)
	await[*messages.UpstreamClosed](t, told)
}
