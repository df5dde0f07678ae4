package transport

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	"conga/messages"
)

// Both ends of a request connection together.
func TestRequestLink(t *testing.T) {
	l := listen(t)
	house := openRequests(t, l, nil)
	system := newSystem(t)
	requester, told := child(t, system, RequestLink(RequestLinkConfig{
		Link: 4, Addr: l.Addr().String(), Member: NewMembership(amy, "", &someTrust{}),
	}))
	root := system.Root
	if opened := await[*messages.RequestsOpened](t, told); opened.Link != 4 {
		t.Errorf("opened %v", opened)
	}
	root.Send(requester, &messages.Hello{Version: 1, Node: &messages.Node{Id: amyID}, Leaf: true})
	await[*messages.Welcome](t, told)
	await[*messages.JoinChain](t, house.chain)
	for i := range 3 {
		root.Send(requester, &messages.ClockPing{SentUs: int64(i)})
		if pong := await[*messages.ClockPong](t, told); pong.GetSentUs() != int64(i) {
			t.Errorf("pong %v", pong)
		}
	}
	root.Send(requester, &messages.Ask{RequestId: "r", Line: "SONGS"})
	want := []string{"1. bach.mp3 (Prelude – Bach)", "2. beethoven.mp3", "3. pachelbel.mp3"}
	if answer := await[*messages.Answer](t, told); !slices.Equal(answer.GetLines(), want) {
		t.Errorf("answer %v", answer)
	}
	house.system.Root.Send(house.pid, &messages.Neighbours{Id: amyID, Event: 8})
	if said := (<-told).(*messages.RequestsSaid); said.Link != 4 || said.Said.(*messages.Neighbours).GetEvent() != 8 {
		t.Errorf("neighbours %v", said)
	}
	// The last word is said although the link is told to go right behind it.
	root.Send(requester, &messages.LeaveChain{})
	root.Send(requester, poison{})
	if left := await[*messages.LeaveChain](t, house.chain); left.GetId() != amyID {
		t.Errorf("left %v", left)
	}
	if closed := await[*messages.RequestsClosed](t, told); closed.Link != 4 || closed.Reason == "" {
		t.Errorf("closed %v", closed)
	}
}

// openLink uses a pipe instead of a network: the test plays the server.
func openLink(t *testing.T) (net.Conn, <-chan any, func(any)) {
	t.Helper()
	here, there := net.Pipe()
	t.Cleanup(func() { _ = here.Close() })
	system := newSystem(t)
	requester, told := child(t, system, RequestLink(RequestLinkConfig{
		Link: 4, Dial: func(context.Context, string) (net.Conn, error) { return there, nil },
	}))
	await[*messages.RequestsOpened](t, told)
	return here, told, func(m any) { system.Root.Send(requester, m) }
}

// half is a pipe of which one direction can be closed.
type half struct {
	net.Conn
	said chan struct{} // closed with that direction
}

func (h half) CloseWrite() error {
	close(h.said)
	return nil
}

// A listener that leaves waits until the server has got its goodbye, which the server shows by ending the
// connection. It does not wait for a frozen server.
func TestRequestLink_Goodbye(t *testing.T) {
	for name, ends := range map[string]bool{"heard": true, "the server is frozen": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				here, there := net.Pipe()
				defer here.Close()
				leaver, system := half{there, make(chan struct{})}, newSystem(t)
				link, told := child(t, system, RequestLink(RequestLinkConfig{
					Link: 4, Dial: func(context.Context, string) (net.Conn, error) { return leaver, nil },
				}))
				await[*messages.RequestsOpened](t, told)
				start := time.Now()
				system.Root.Send(link, &messages.LeaveChain{})
				system.Root.Send(link, poison{})
				if line, err := bufio.NewReader(here).ReadString('\n'); err != nil || !strings.HasPrefix(line, "LEAVECHAIN ") {
					t.Fatal(line, err)
				}
				<-leaver.said
				synctest.Wait()
				if len(told) > 0 {
					t.Fatalf("told %v before the server has ended the connection", <-told)
				}
				if ends {
					_ = here.Close()
				}
				await[*messages.RequestsClosed](t, told)
				if took := time.Since(start); ends != (took == 0) || took > goodbyeTime {
					t.Errorf("it went after %v", took)
				}
			})
		})
	}
}

func TestRequestLink_Closed(t *testing.T) {
	for name, c := range map[string]struct{ says, want string }{
		"end":              {"", errServerGone.Error()},
		"garbage":          {"NEIGHBOURS {{\n", "NEIGHBOURS: malformed line"},
		"no newline":       {strings.Repeat("x", 2*maxReply), "line too long"},
		"a later version":  {"DANCE {}\n", errServerGone.Error()},
		"not our protocol": {"HTTP/1.1 400 Bad Request\n\n", errServerGone.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn, told, _ := openLink(t)
				_, _ = conn.Write([]byte(c.says))
				_ = conn.Close()
				if closed := await[*messages.RequestsClosed](t, told); closed.Link != 4 || closed.Reason != c.want {
					t.Errorf("closed %v, want %q", closed, c.want)
				}
			})
		})
	}
}

// Texts from a server are shown on terminals and kept in logs, so each is made plain and has a bounded
// length.
func TestRequestLink_Words(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, told, _ := openLink(t)
		const evil, plain = "\x1b[2J\u202ex\nready relay=\u009b1", "[2Jx ready relay=1"
		node := &messages.Node{Id: evil, Name: evil, Relay: evil, Http: evil}
		long := strings.Repeat("é", messages.MaxLine)
		for _, m := range []proto.Message{
			&messages.Refused{Reason: evil},
			&messages.Answer{RequestId: "r", Lines: []string{evil, long}},
			&messages.Playing{Song: &messages.Song{Name: evil, Title: evil, Artist: evil}, ListenerName: evil, Queue: []*messages.Coming{{Song: &messages.Song{Name: evil}, ListenerName: evil}}},
			&messages.Neighbours{Id: evil, Ancestors: []*messages.Node{node, node}},
		} {
			line, err := AppendLine(nil, m)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Write(line); err != nil {
				t.Fatal(err)
			}
		}
		if refused := await[*messages.Refused](t, told); refused.GetReason() != plain {
			t.Errorf("refused %q", refused.GetReason())
		}
		if lines := await[*messages.Answer](t, told).GetLines(); lines[0] != plain || lines[1] != long[:maxWords] {
			t.Errorf("answered %q", lines)
		}
		if p := await[*messages.Playing](t, told); !proto.Equal(p, &messages.Playing{
			Song: &messages.Song{Name: plain, Title: plain, Artist: plain}, ListenerName: plain, Queue: []*messages.Coming{{Song: &messages.Song{Name: plain}, ListenerName: plain}},
		}) {
			t.Errorf("playing %q", p)
		}
		node = &messages.Node{Id: plain, Name: plain, Relay: plain, Http: plain}
		if n := await[*messages.Neighbours](t, told); !proto.Equal(n, &messages.Neighbours{Id: plain, Ancestors: []*messages.Node{node, node}}) {
			t.Errorf("neighbours %q", n)
		}
	})
}

// A server that does not read gets no more than a queue's worth.
func TestRequestLink_SlowServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, told, say := openLink(t)
		start := time.Now()
		for range 2 * outboxSize {
			say(&messages.ClockPing{})
		}
		if closed := await[*messages.RequestsClosed](t, told); closed.Reason != errStuck.Error() || time.Since(start) > writePatience {
			t.Errorf("closed %v after %v", closed, time.Since(start))
		}
	})
}

// A ping has the time when it is written, and what the server says the time when it comes. What waits within this process
// would look like a long way.
func TestRequestLink_Stamps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		defer here.Close()
		system := newSystem(t)
		link, told := child(t, system, RequestLink(RequestLinkConfig{
			Link: 4, Dial: func(context.Context, string) (net.Conn, error) { return there, nil }, Local: time.Time.UnixMicro,
		}))
		await[*messages.RequestsOpened](t, told)
		system.Root.Send(link, &messages.Hello{Version: 1})
		ping := &messages.ClockPing{SentUs: 7}
		system.Root.Send(link, ping)
		synctest.Wait()
		time.Sleep(time.Second) // HELLO is still being written
		lines := bufio.NewReader(here)
		for _, want := range []proto.Message{&messages.Hello{Version: 1}, &messages.ClockPing{SentUs: time.Now().UnixMicro()}} {
			line, err := lines.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if got, err := ParseLine(line); err != nil || !proto.Equal(got, want) {
				t.Errorf("it says %v, %v, want %v", got, err, want)
			}
		}
		if ping.GetSentUs() != 7 {
			t.Error("the sender's ping was changed")
		}
		came := time.Now()
		if _, err := here.Write([]byte("CLOCKPONG {}\n")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if said := (<-told).(*messages.RequestsSaid); !said.At.Equal(came) {
			t.Errorf("it came at %v, want %v", said.At, came)
		}
	})
}

// A server that floods fills the pipe, not the parent's mailbox.
func TestRequestLink_Flood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, told, _ := openLink(t)
		flood := bytes.Repeat([]byte("CLOCKPONG {}\n"), 10*linesAtOnce)
		go func() { _, _ = conn.Write(flood) }()
		synctest.Wait()
		if len(told) > linesAtOnce+1 {
			t.Errorf("the parent was told %d things at once", len(told))
		}
	})
}

func TestRequestLink_Dial(t *testing.T) {
	_, told := child(t, newSystem(t), RequestLink(RequestLinkConfig{Link: 4, Addr: "amy:1", Dial: func(context.Context, string) (net.Conn, error) {
		return nil, errTest
	}}))
	if closed := await[*messages.RequestsClosed](t, told); closed.Reason != "dial amy:1: no room at the inn" {
		t.Errorf("closed %v", closed)
	}
}

// Lists of any length fit into the one line of an Answer.
func TestListing_FitsAnAnswer(t *testing.T) {
	names := slices.Repeat([]string{strings.Repeat(`"`, maxWish)}, 100_000)
	b, err := AppendLine(nil, &messages.Answer{Lines: listing("SONGS", "", names, "", maxAnswer)})
	if err != nil || len(b) > maxReply {
		t.Fatalf("an answer of %d bytes, %v", len(b), err)
	}
	line, err := readReply(bufio.NewReader(bytes.NewReader(b)))
	if err != nil {
		t.Fatal(err)
	}
	m, err := ParseLine(line)
	if err != nil {
		t.Fatal(err)
	}
	got := m.(*messages.Answer).GetLines()
	if last := got[len(got)-1]; !strings.HasPrefix(last, "... and ") {
		t.Errorf("it ends with %q", last)
	}
}

// If a link's own code panics, the link ends: its requester is told, and makes another.
func TestRequestLink_Breaks(t *testing.T) {
	_, told := child(t, newSystem(t), RequestLink(RequestLinkConfig{
		Link: 7, Dial: func(context.Context, string) (net.Conn, error) { panic("torn") },
	}))
	if closed := await[*messages.RequestsClosed](t, told); closed.Link != 7 || closed.Reason != "broke down: torn" {
		t.Errorf("closed: %v", closed)
	}
}
