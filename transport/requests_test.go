package transport

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"errors"
	"io"
	"math"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"conga/messages"
)

// shelves are a library where nobody looks for titles.
type shelves []string

func (s shelves) Mean(string) messages.Meaning { return messages.Meaning{} }

// Song knows the title of one.
func (s shelves) Song(name string) *messages.Song {
	if name == "bach.mp3" {
		return &messages.Song{Name: name, Title: "Prelude", Artist: "Bach"}
	}
	return nil
}

func (s shelves) Search(words string) (found messages.FoundSongs) {
	for i, song := range s {
		if strings.Contains(song, strings.ToLower(words)) {
			found.Songs = append(found.Songs, messages.Choice{Number: i + 1, Song: &messages.Song{Name: song}})
		}
	}
	return found
}

// library answers as catalog and scheduler would: three songs, room for two requests.
func library() *actor.Props {
	songs, queue := []string{"bach.mp3", "beethoven.mp3", "pachelbel.mp3"}, []string{}
	var late *actor.PID // asked for "late", answered when the next question comes
	return actor.PropsFromFunc(func(ctx actor.Context) {
		switch msg := ctx.Message().(type) {
		case *messages.ListSongs:
			ctx.Respond(&messages.List{Names: songs})
		case *messages.ListRequests:
			if late != nil {
				ctx.Send(late, &messages.PlayAnswer{Said: &messages.SongQueued{Song: "late"}})
			}
			waiting := &messages.Requests{}
			for _, song := range queue {
				waiting.Waiting = append(waiting.Waiting, messages.Waiting{Song: &messages.Song{Name: song}, Turn: messages.Turn{In: -1}})
			}
			ctx.Respond(waiting)
		case *messages.AskLibrary:
			ctx.Respond(shelves(songs))
		case *messages.RequestPlay:
			song := ""
			for i, name := range songs {
				if slices.Contains([]string{name, strings.TrimSuffix(name, ".mp3"), strconv.Itoa(i + 1)}, msg.GetWish()) {
					song = name
				}
			}
			refuse := func(reason messages.PlayRefused_Reason) {
				ctx.Respond(&messages.PlayAnswer{Said: &messages.PlayRefused{RequestId: msg.GetRequestId(), Reason: reason}})
			}
			switch {
			case msg.GetWish() == "late":
				late = ctx.Sender()
			case song == "":
				refuse(messages.PlayRefused_REASON_NO_SUCH_SONG)
			case slices.Contains(queue, song):
				refuse(messages.PlayRefused_REASON_ALREADY_REQUESTED)
			case len(queue) == 2:
				refuse(messages.PlayRefused_REASON_QUEUE_FULL)
			default:
				queue = append(queue, song)
				ctx.Respond(&messages.PlayAnswer{Said: &messages.SongQueued{RequestId: msg.GetRequestId(), Song: song, ListenerName: msg.GetListenerName()}})
			}
		}
	})
}

// requestHouse is a server's request port, with fake rooms behind it.
type requestHouse struct {
	system *actor.ActorSystem
	pid    *actor.PID
	chain  <-chan any // what the chain is told; joins it answers by itself
	count  *Counters
	key    *atomic.Value // ed25519.PublicKey that its Welcome names
}

func openRequests(t *testing.T, l net.Listener, change func(*RequestsConfig)) requestHouse {
	t.Helper()
	system := newSystem(t)
	told := make(chan any, 4096)
	key := &atomic.Value{}
	key.Store(publicOf(testKey))
	chain := spawn(t, system, actor.PropsFromFunc(func(ctx actor.Context) {
		switch msg := ctx.Message().(type) {
		case *messages.JoinChain:
			told <- msg
			if msg.GetNode().GetName() == "nobody" {
				ctx.Respond(&messages.Refused{Reason: "the chain is full"})
				return
			}
			ctx.Respond(&messages.Welcome{Version: 1, Node: msg.GetNode(), Epoch: 3, Key: key.Load().(ed25519.PublicKey)})
		case proto.Message:
			told <- msg
		}
	}))
	rooms := spawn(t, system, library())
	cfg := RequestsConfig{
		Listener: l, Catalog: rooms, Scheduler: rooms, Chain: chain,
		Now: func() time.Time { return time.UnixMicro(42) }, Counters: &Counters{},
	}
	guarded(t, "", testKey)(&cfg)
	if change != nil {
		change(&cfg)
	}
	return requestHouse{system, spawn(t, system, Requests(cfg).Configure(stumbling)), told, cfg.Counters, key}
}

func TestRequests_Conversation(t *testing.T) {
	story, err := os.ReadFile("testdata/nc.txt")
	if err != nil {
		t.Fatal(err)
	}
	var said, want strings.Builder
	for line := range strings.Lines(string(story)) {
		if rest, is := strings.CutPrefix(line, "> "); is {
			said.WriteString(rest)
		} else if rest, is := strings.CutPrefix(line, "< "); is {
			want.WriteString(rest)
		}
	}
	for name, text := range map[string]string{
		"QUIT":        said.String(),
		"half-closed": strings.TrimSuffix(said.String(), "QUIT\n"),
		"windows":     strings.ReplaceAll(said.String(), "\n", "\r\n"),
		"no last end": strings.TrimSuffix(said.String(), "\nQUIT\n"),
	} {
		t.Run(name, func(t *testing.T) {
			l := listen(t)
			openRequests(t, l, nil)
			conn := dial(t, l)
			send(t, conn, []byte(text)) // all at once, as printf | nc does
			if name != "QUIT" {
				_ = conn.(*net.TCPConn).CloseWrite()
			}
			got, err := io.ReadAll(conn)
			if err != nil || string(got) != want.String() {
				t.Errorf("read %v:\n%s\nwant:\n%s", err, got, want.String())
			}
		})
	}
}

// Input that crashed the program of 2016 must not affect the next client.
func TestRequests_Hostile(t *testing.T) {
	half := func(c net.Conn) { _ = c.(*net.TCPConn).CloseWrite() }
	for name, attack := range map[string]func(*testing.T, net.Conn){
		"byte by byte": func(t *testing.T, c net.Conn) {
			for _, b := range []byte("SONGS\n") {
				send(t, c, []byte{b})
			}
			half(c)
			if got, _ := io.ReadAll(c); !bytes.HasPrefix(got, []byte("1. bach.mp3\n")) {
				t.Errorf("read %q", got)
			}
		},
		"ten megabytes without a newline": func(t *testing.T, c net.Conn) {
			go func() { _, _ = c.Write(bytes.Repeat([]byte("x"), 10<<20)) }()
			line, err := bufio.NewReader(c).ReadString('\n')
			if want := "A line may have at most 4096 bytes. Goodbye.\n"; line != want {
				t.Errorf("read %q, %v", line, err)
			}
			ends(t, c)
		},
		"garbage": func(t *testing.T, c net.Conn) {
			send(t, c, bytes.Repeat([]byte("\x01\xff\n"), 1000))
			got, _ := io.ReadAll(c)
			if !bytes.HasSuffix(got, []byte("This is not plain text. Goodbye.\n")) || bytes.Count(got, []byte("\n")) != badLines+1 {
				t.Errorf("read %q", got)
			}
		},
		"a browser's STUN": func(t *testing.T, c net.Conn) { // its user name is the page's to choose
			send(t, c, []byte("\x00\x01\x00\x20\x21\x12\xa4\x42 user\nPLAY 1\nPLAY 2\nSONGS\n"))
			if got, _ := io.ReadAll(c); string(got) != "This is not plain text. Goodbye.\n" {
				t.Errorf("read %q", got)
			}
		},
		"one bad line": func(t *testing.T, c net.Conn) {
			send(t, c, []byte("bell\a\nREQUESTS\n"))
			half(c)
			if got, _ := io.ReadAll(c); string(got) != "This line is not plain text. "+knownWords+"\n"+sayNoWishes+"\n\n" {
				t.Errorf("read %q", got)
			}
		},
		"a reset": func(t *testing.T, c net.Conn) {
			send(t, c, []byte("SONGS\n"))
			_ = c.(*net.TCPConn).SetLinger(0)
			_ = c.Close()
		},
		"silence":          func(*testing.T, net.Conn) {},
		"half a line":      func(t *testing.T, c net.Conn) { send(t, c, []byte("HELLO {")); half(c); ends(t, c) },
		"a stranger's ask": func(t *testing.T, c net.Conn) { refusedLine(t, c, `ASK {"line":"SONGS"}`, "say HELLO first") },
		"no uuid":          func(t *testing.T, c net.Conn) { refusedLine(t, c, `HELLO {"node":{"id":"amy"}}`, errID.Error()) },
		"no node":          func(t *testing.T, c net.Conn) { refusedLine(t, c, `HELLO {}`, errID.Error()) },
		"a later dialect": func(t *testing.T, c net.Conn) {
			refusedLine(t, c, `HELLO {"version":9}`, "this server speaks version 1 of the dialect, not 9: use the same version of conga on both sides")
		},
		"in clear": func(t *testing.T, c net.Conn) {
			refusedLine(t, c, `HELLO {"node":{"id":"`+amyID+`"}}`, errClear.Error())
		},
		"no address": func(t *testing.T, c net.Conn) {
			refusedHello(t, secure(t, c, amy), &messages.Hello{Node: &messages.Node{Relay: "nowhere"}}, errRelay.Error())
		},
		"the chain says no": func(t *testing.T, c net.Conn) {
			refusedHello(t, secure(t, c, amy), &messages.Hello{Node: &messages.Node{Name: "nobody"}}, "the chain is full")
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := listen(t)
			house := openRequests(t, l, nil)
			attack(t, dial(t, l))
			conn := dial(t, l)
			send(t, conn, []byte("REQUESTS\nQUIT\n"))
			if got, err := io.ReadAll(conn); string(got) != sayNoWishes+"\n\n" {
				t.Errorf("the next one read %q, %v", got, err)
			}
			for len(house.chain) > 0 { // who never joined cannot be lost
				if lost, is := (<-house.chain).(*messages.PeerLost); is {
					t.Errorf("the chain heard %v", lost)
				}
			}
		})
	}
}

func refusedLine(t *testing.T, conn net.Conn, line, want string) {
	t.Helper()
	send(t, conn, []byte(line+"\n"))
	if got := readLine[*messages.Refused](t, bufio.NewReader(conn)); got.GetReason() != want {
		t.Errorf("%s: refused with %q, want %q", line, got.GetReason(), want)
	}
}

func refusedHello(t *testing.T, conn *Secured, hello *messages.Hello, want string) {
	t.Helper()
	sayLine(t, conn, conn.Introduce(hello))
	if got := readLine[*messages.Refused](t, bufio.NewReader(conn)); got.GetReason() != want {
		t.Errorf("%v: refused with %q, want %q", hello, got.GetReason(), want)
	}
}

// secure speaks TLS as the listener.
func secure(t *testing.T, conn net.Conn, who *Identity) *Secured {
	t.Helper()
	secured, err := NewMembership(who, "", &someTrust{}).Secure(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	return secured
}

// readLine reads the next line, which must be an M.
func readLine[M proto.Message](t *testing.T, r *bufio.Reader) M {
	t.Helper()
	line, err := readReply(r)
	if err != nil {
		t.Fatal(err)
	}
	m, err := ParseLine(line)
	want, is := m.(M)
	if !is {
		t.Fatalf("read %q, %v", line, err)
	}
	return want
}

func sayLine(t *testing.T, conn net.Conn, m proto.Message) {
	t.Helper()
	line, err := AppendLine(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	send(t, conn, line)
}

// join says HELLO and reads WELCOME.
func join(t *testing.T, house requestHouse, raw net.Conn, who *Identity) (*Secured, *bufio.Reader) {
	t.Helper()
	conn := secure(t, raw, who)
	return conn, rejoin(t, house, conn, who)
}

func rejoin(t *testing.T, house requestHouse, conn *Secured, who *Identity) *bufio.Reader {
	t.Helper()
	sayLine(t, conn, conn.Introduce(&messages.Hello{Version: 1, Node: &messages.Node{Name: "a\x1bmy", Relay: ":7100"}}))
	r := bufio.NewReader(conn)
	readLine[*messages.Welcome](t, r)
	joined := await[*messages.JoinChain](t, house.chain)
	if n := joined.GetNode(); n.GetId() != who.ID() || n.GetKey() != nil || n.GetName() != "amy" || n.GetRelay() != "127.0.0.1:7100" || joined.GetAtUnixUs() != 42 {
		t.Errorf("the chain was asked for %v", joined)
	}
	return r
}

func TestRequests_Native(t *testing.T) {
	l := listen(t)
	house := openRequests(t, l, nil)
	root := house.system.Root
	root.Send(house.pid, &messages.Playing{Song: &messages.Song{Name: "old.mp3"}})
	root.Send(house.pid, &messages.Playing{Song: &messages.Song{Name: "bach.mp3"}})
	conn, r := join(t, house, dial(t, l), amy)
	if news := readLine[*messages.Playing](t, r); news.GetSong().GetName() != "bach.mp3" {
		t.Errorf("the newcomer hears of %v", news)
	}
	sayLine(t, conn, &messages.Ask{RequestId: "r1", Line: "play 1"})
	if a := readLine[*messages.Answer](t, r); a.GetRequestId() != "r1" || !slices.Equal(a.GetLines(), []string{"Song bach.mp3 has been requested!"}) {
		t.Errorf("answer %v", a)
	}
	sayLine(t, conn, &messages.Ask{RequestId: "r2", Line: "REQUESTS"})
	if a := readLine[*messages.Answer](t, r); a.GetRequestId() != "r2" || !slices.Equal(a.GetLines(), []string{"1. bach.mp3"}) {
		t.Errorf("answer %v", a)
	}
	for _, line := range []string{"SONGS", "SONGS 1"} { // a listener gets titles, nc the names alone
		sayLine(t, conn, &messages.Ask{RequestId: "r3", Line: line})
		want := []string{"1. bach.mp3 (Prelude – Bach)", "2. beethoven.mp3", "3. pachelbel.mp3"}
		if a := readLine[*messages.Answer](t, r); !slices.Equal(a.GetLines(), want) {
			t.Errorf("%s: %q", line, a.GetLines())
		}
	}
	sayLine(t, conn, &messages.ClockPing{SentUs: 7})
	if pong := readLine[*messages.ClockPong](t, r); pong.GetSentUs() != 7 || pong.GetServerUnixUs() != 42 {
		t.Errorf("pong %v", pong)
	}
	root.Send(house.pid, &messages.Neighbours{Id: bobID, Event: 1})
	root.Send(house.pid, &messages.Neighbours{Id: amyID, Event: 2})
	if n := readLine[*messages.Neighbours](t, r); n.GetId() != amyID || n.GetEvent() != 2 {
		t.Errorf("neighbours %v", n)
	}
	// Nobody speaks for another.
	sayLine(t, conn, &messages.PeerLost{Id: bobID, SeenBy: bobID, Reason: "silent\n", AtUnixUs: 1})
	want := &messages.PeerLost{Id: bobID, SeenBy: amyID, Reason: "silent", AtUnixUs: 42}
	if lost := await[*messages.PeerLost](t, house.chain); !proto.Equal(lost, want) {
		t.Errorf("the chain heard %v, want %v", lost, want)
	}
	sayLine(t, conn, &messages.Reconnected{
		Id: bobID, Upstream: &messages.Node{Id: bobID, Name: "bob\n"}, Lost: &messages.Node{Id: messages.ServerID, Name: "me"},
		Reason: "silent\n", SearchUs: 7, Missing: 3, BufferedUs: -1, AtUnixUs: 99,
	})
	way := &messages.Reconnected{
		Id: amyID, Upstream: &messages.Node{Id: bobID, Name: "bob"}, Lost: &messages.Node{Id: messages.ServerID, Name: messages.ServerID},
		Reason: "silent", SearchUs: 7, Missing: 3, BufferedUs: -1, AtUnixUs: 42,
	}
	if back := await[*messages.Reconnected](t, house.chain); !proto.Equal(back, way) {
		t.Errorf("the chain heard %v, want %v", back, way)
	}
	sayLine(t, conn, &messages.Reconnected{SearchUs: math.MaxInt64, Missing: math.MaxUint64})
	if lie := await[*messages.Reconnected](t, house.chain); lie.GetSearchUs() != longestSearch.Microseconds() || lie.GetMissing() != mostMissing {
		t.Errorf("the chain heard %v", lie)
	}
	sayLine(t, conn, &messages.Reconnected{SearchUs: math.MinInt64})
	if lie := await[*messages.Reconnected](t, house.chain); lie.GetSearchUs() != 0 {
		t.Errorf("the chain heard %v", lie)
	}
	sayLine(t, conn, &messages.Welcome{})
	readLine[*messages.Refused](t, r)
	sayLine(t, conn, &messages.LeaveChain{Id: bobID})
	if left := await[*messages.LeaveChain](t, house.chain); left.GetId() != amyID || left.GetAtUnixUs() != 42 {
		t.Errorf("the chain heard %v", left)
	}
	if _, err := readReply(r); !errors.Is(err, io.EOF) {
		t.Errorf("after LEAVECHAIN: %v", err)
	}
	// Who said goodbye is not lost: the next thing the chain hears is the next join.
	join(t, house, dial(t, l), bob)
}

// A listener that names no relay feeds nobody: nobody could dial it.
func TestRequests_NoRelay(t *testing.T) {
	l := listen(t)
	house := openRequests(t, l, nil)
	conn := secure(t, dial(t, l), amy)
	sayLine(t, conn, conn.Introduce(&messages.Hello{Version: 1, Node: &messages.Node{Name: "amy"}}))
	readLine[*messages.Welcome](t, bufio.NewReader(conn))
	if joined := await[*messages.JoinChain](t, house.chain); !joined.GetLeaf() || joined.GetNode().GetRelay() != "" {
		t.Errorf("the chain was asked for %v", joined)
	}
}

// Only the server itself can bring a client of 2016 into the chain, whatever a HELLO says.
func TestRequests_StandIn(t *testing.T) {
	l := listen(t)
	house := openRequests(t, l, nil)
	conn := secure(t, dial(t, l), amy)
	line, err := AppendLine(nil, conn.Introduce(&messages.Hello{Version: 1, Node: &messages.Node{Name: "amy"}}))
	if err != nil {
		t.Fatal(err)
	}
	send(t, conn, bytes.Replace(line, []byte(`"name":`), []byte(`"seed":true,"name":`), 1))
	if joined := await[*messages.JoinChain](t, house.chain); joined.GetNode().GetId() != amyID || joined.GetSeed() {
		t.Errorf("the chain was asked for %v", joined)
	}
	here, there := net.Pipe()
	defer here.Close()
	house.system.Root.Send(house.pid, &StandIn{Conn: there, FedBy: amyID})
	sayLine(t, here, &messages.Hello{Version: 1, Node: &messages.Node{Id: bobID, Name: "sid", Relay: "192.0.2.1:7002"}})
	readLine[*messages.Welcome](t, bufio.NewReader(here))
	joined := await[*messages.JoinChain](t, house.chain)
	if !joined.GetSeed() || joined.GetFedBy() != amyID || joined.GetUnreachable() != "" || joined.GetNode().GetRelay() != "192.0.2.1:7002" {
		t.Errorf("the chain was asked for %v", joined)
	}
}
