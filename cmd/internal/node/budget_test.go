package node

import (
	"crypto/ed25519"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"conga/actors/eventlog/sqlite"
	"conga/cmd/internal/keys"
	"conga/cmd/internal/logbook"
	"conga/messages"
	"conga/transport"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
)

// transport's budgets bound the log's bytes a day only if no word, with all events that follow from it, needs more
// than transport.WordBytes on the disk.
func TestServer_LogBytesOfAWord(t *testing.T) {
	const words = 150
	wide := func(n int) string { return strings.Repeat("W", n) }
	node := func() *messages.Node {
		return &messages.Node{Id: uuid.NewString(), Name: wide(300), Relay: wide(200) + ":1", Http: wide(200) + ":1"}
	}
	for name, c := range map[string]struct {
		event proto.Message // that follows from one word
		say   func(*testing.T, *gossip)
	}{
		"RECONNECTED": {&messages.ListenerReconnected{}, func(t *testing.T, p *gossip) {
			p.join(t, node())
			for i := range words {
				if i%32 == 0 { // a link's outbox is bounded
					p.say(&messages.Ask{RequestId: fmt.Sprint(i), Line: "HELP"})
					hear[*messages.Answer](t, p)
				}
				p.say(&messages.Reconnected{
					Id: wide(100), Upstream: node(), Lost: node(), Reason: wide(1000),
					SearchUs: 1 << 60, Missing: 1 << 60, BufferedUs: 1 << 60,
				})
			}
			p.say(&messages.Ask{RequestId: "last", Line: "HELP"})
			hear[*messages.Answer](t, p)
		}},
		"PLAY": {&messages.PlayRefused{}, func(t *testing.T, p *gossip) {
			p.join(t, node())
			for i := range words {
				p.say(&messages.Ask{RequestId: fmt.Sprintf("%s%04d", wide(60), i), Line: "PLAY " + wide(255)})
				hear[*messages.Answer](t, p)
			}
		}},
		"HELLO": {&messages.ListenerLeft{}, func(t *testing.T, p *gossip) {
			for range words {
				p.dial(node())
				if _, in := hear[any](t, p).(*messages.Welcome); !in {
					return // it comes and goes too often
				}
				p.say(&messages.LeaveChain{})
				hear[*messages.RequestsClosed](t, p)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			before := filled(t, dir, func(*Server) {})
			after := filled(t, dir, func(n *Server) {
				p := newGossip(t, n)
				defer p.close()
				c.say(t, p)
			})
			n := int64(inLog(t, dir, c.event)) // the chain manager makes no event of a word that it refuses
			if n < 10 {
				t.Fatalf("%d of %d words are in the log", n, words)
			}
			each := (after - before) / n
			t.Logf("%d bytes each", each)
			if each > transport.WordBytes || each < 100 {
				t.Errorf("each of %d words adds %d bytes to the log, which may be %d", n, each, transport.WordBytes)
			}
		})
	}
}

// inLog counts the events of the kind in the folder's log.
func inLog(t *testing.T, dir string, kind proto.Message) (n int) {
	t.Helper()
	log, err := logbook.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	for r, err := range log.Since(0) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Event.ProtoReflect().Descriptor() == kind.ProtoReflect().Descriptor() {
			n++
		}
	}
	return n
}

// filled runs a server on the folder, and returns the bytes of its log afterwards.
func filled(t *testing.T, dir string, while func(*Server)) (bytes int64) {
	t.Helper()
	store, err := sqlite.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	n, err := StartServer(ServerOptions{
		Songs: t.TempDir(), Listen: "127.0.0.1:0", Data: Data{Store: store, Key: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))},
		Limits: transport.Limits{Requests: 1e6, PerAddress: 4096}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	while(n)
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil && strings.HasPrefix(entry.Name(), "conga.db") {
			bytes += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

// gossip is the link of a member without the listener, so that a test can send what it likes.
type gossip struct {
	system *actor.ActorSystem
	pid    *actor.PID
	heard  chan any
}

type dialAs struct{ node *messages.Node }

func newGossip(t *testing.T, n *Server) *gossip {
	t.Helper()
	p := &gossip{system: NewSystem(slog.New(slog.DiscardHandler)), heard: make(chan any, 4096)}
	logger := slog.New(slog.DiscardHandler)
	addr := n.Requests.Addr().String()
	member := transport.NewMembership(transport.NewIdentity(), "", &trust{keys: keys.NewRing(addr, nil, ""), logger: logger, distrust: func(err error) bool {
		t.Error(err)
		return true
	}})
	var link *actor.PID
	var hello *messages.Hello
	links := uint64(0)
	p.pid = p.system.Root.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
		switch msg := ctx.Message().(type) {
		case dialAs:
			links++
			hello = &messages.Hello{Version: messages.DialectVersion, Node: msg.node}
			link = ctx.Spawn(transport.RequestLink(transport.RequestLinkConfig{Link: links, Addr: addr, Member: member}))
		case *messages.RequestsOpened:
			ctx.Send(link, hello)
		case *messages.Ask, *messages.Reconnected, *messages.LeaveChain, *messages.PeerLost:
			ctx.Send(link, msg)
		case *messages.RequestsSaid:
			switch said := msg.Said.(type) {
			case *messages.Welcome, *messages.Refused, *messages.Answer:
				p.heard <- said
			}
		case *messages.RequestsClosed:
			p.heard <- msg
		}
	}))
	return p
}

func (p *gossip) close()              { _ = p.system.Root.StopFuture(p.pid).Wait(); p.system.Shutdown() }
func (p *gossip) say(m proto.Message) { p.system.Root.Send(p.pid, m) }

func (p *gossip) dial(node *messages.Node) { p.system.Root.Send(p.pid, dialAs{node}) }

func (p *gossip) join(t *testing.T, node *messages.Node) {
	t.Helper()
	p.dial(node)
	hear[*messages.Welcome](t, p)
}

// hear returns the next message to the link, which must be an M.
func hear[M any](t *testing.T, p *gossip) M {
	t.Helper()
	select {
	case m := <-p.heard:
		want, is := m.(M)
		if !is {
			t.Fatalf("heard %T %v, want a %T", m, m, want)
		}
		return want
	case <-time.After(time.Minute):
		panic(fmt.Sprintf("%s: waited in vain for a %T", t.Name(), *new(M)))
	}
}
