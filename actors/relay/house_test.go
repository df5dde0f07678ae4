package relay

import (
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"conga/actors/eventlog"
	"conga/actors/internal/broadcast"
	"conga/actors/relay/search"
	"conga/actors/window"
	"conga/messages"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a running relay inside a synctest bubble. dial makes its links; by default
// the test plays them.
type house struct {
	t      *testing.T
	system *actor.ActorSystem
	pid    *actor.PID
	log    *eventlog.Log
	window *window.Window
	b      *broadcast.Broadcast
	dial   func(l *link) *actor.Props // nil: the link is silent
	sent   func() int64               // what the upstream says when it sends an item; nil: nothing

	mu      sync.Mutex
	welcome *messages.Welcome
	upper   *messages.Neighbours // what the server said last
	refused []uint64             // tickets
	links   []*link              // in the order of their numbers
	told    []proto.Message
	taken   func(number uint64) // whenever the relay reads the clock and has an item: it may break there
}

// link is a connection that the relay asked for.
type link struct {
	number  uint64
	addr    string
	open    *messages.OpenStream
	report  func(any) int
	mu      sync.Mutex
	credits int // with the items that were done at once
	stopped bool
}

// Receive counts the credits that the relay gives back.
func (l *link) Receive(ctx actor.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch ctx.Message().(type) {
	case *messages.Credit:
		l.credits++
	case *actor.Stopping:
		l.stopped = true
	}
}

func (l *link) seen() (credits int, stopped bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.credits, l.stopped
}

// build starts a relay. A broadcast of these songs begins to be sent just now.
func build(t *testing.T, chunks ...int) *house {
	h := &house{t: t, window: window.New(), b: broadcast.RecordAt(time.Now().Add(messages.Slack).UnixMicro(), chunks...)}
	var err error
	h.log, err = eventlog.OpenRing(eventlog.NewMemory(), time.Now, 10_000)
	must(t, err)
	discard := slog.New(slog.DiscardHandler)
	h.system = actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return discard }),
		actor.WithDeadLetterThrottleInterval(time.Millisecond),
	)
	h.pid = h.system.Root.Spawn(Props(Config{
		Log: h.log, Window: h.window, Logger: discard,
		Self:   func() *messages.Node { return &messages.Node{Id: "me"} },
		Server: func() string { return "server:1" },
		Dial: func(number uint64, addr string, open *messages.OpenStream, report func(any) (done int)) *actor.Props {
			l := &link{number: number, addr: addr, open: open, report: report}
			h.mu.Lock()
			h.links = append(h.links, l)
			h.mu.Unlock()
			if h.dial != nil {
				return h.dial(l)
			}
			return actor.PropsFromProducer(func() actor.Actor { return l })
		},
		Refuse: func(ticket uint64) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.refused = append(h.refused, ticket)
		},
		Tell: func(m proto.Message) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.told = append(h.told, m)
		},
		Tally: &Tally{},
		Said: func() (*messages.Welcome, *messages.Neighbours) {
			h.mu.Lock()
			defer h.mu.Unlock()
			return h.welcome, h.upper
		},
		ServerNow: func() int64 {
			h.mu.Lock()
			taken := h.taken
			h.mu.Unlock()
			if taken != nil && h.window.Last() != nil {
				taken(h.window.Last().Number)
			}
			return time.Now().UnixMicro()
		},
	}))
	h.send(&messages.Welcome{Key: h.b.Key, Epoch: 3})
	return h
}

// onTaken sets taken.
func (h *house) onTaken(f func(number uint64)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.taken = f
}

// end stops all; the bubble's goroutines end with it.
func (h *house) end() {
	must(h.t, h.system.Root.StopFuture(h.pid).Wait())
	h.system.Shutdown()
	h.window.Close()
	must(h.t, h.log.Close())
	time.Sleep(time.Second) // virtual: the dead letters' throttle ends
}

// send tells the relay, and waits until nothing more follows from it now.
func (h *house) send(m any) {
	h.tell(m)
	synctest.Wait()
}

// tell remembers the server's words, as their owner does, before the relay gets them.
func (h *house) tell(m any) {
	h.mu.Lock()
	switch m := m.(type) {
	case *messages.Welcome:
		h.welcome = m
	case *messages.Neighbours:
		h.upper = m
	}
	h.mu.Unlock()
	if l := h.reporter(m); l != nil {
		if done := l.report(m); done > 0 {
			l.mu.Lock()
			l.credits += done
			l.mu.Unlock()
		}
		return
	}
	h.system.Root.Send(h.pid, m)
}

// reporter is the link that says it; nil if it is no link's word.
func (h *house) reporter(m any) *link {
	number := uint64(0)
	switch m := m.(type) {
	case *messages.UpstreamOpened:
		number = m.Link
	case *messages.UpstreamItem:
		number = m.Link
	case *messages.UpstreamSeal:
		number = m.Link
	case *messages.UpstreamLeaving:
		number = m.Link
	case *messages.UpstreamClosed:
		number = m.Link
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range h.links {
		if l.number == number {
			return l
		}
	}
	return nil
}

// above tells the relay its ancestors, nearest first.
func (h *house) above(event uint64, names ...string) {
	n := &messages.Neighbours{Id: "me", Event: event}
	for _, name := range names {
		n.Ancestors = append(n.Ancestors, ancestor(name))
	}
	h.send(n)
}

// answer makes the link's upstream accept the listener.
func (h *house) answer(number, first uint64) {
	h.send(&messages.UpstreamOpened{Link: number, Answer: &messages.StreamOpened{First: first, Epoch: 3, Newest: h.newest()}})
}

// shows makes the link's upstream accept the listener, and send what the server has sent.
func (h *house) shows(number uint64) {
	_, live := h.look()
	h.answer(number, live.Next)
	h.music(number, h.from(live.Next), h.newest())
}

// newest is the number of the item that the server sent last.
func (h *house) newest() (number uint64) {
	for _, item := range h.b.Items {
		if due(item).After(time.Now()) {
			break
		}
		number = item.Number
	}
	return number
}

// music sends all that the reader has up to and with an item.
func (h *house) music(link uint64, r *broadcast.Reader, last uint64) {
	for r.At <= last {
		s, song, item := r.Next()
		if s != nil {
			h.send(&messages.UpstreamSeal{Link: link, Seal: s})
		}
		if song != nil {
			h.send(&messages.UpstreamItem{Link: link, Item: song})
		}
		came := &messages.UpstreamItem{Link: link, Item: item}
		if h.sent != nil {
			came.SentUs = h.sent()
		}
		h.send(came)
	}
}

// from is an upstream that begins with this item, as it was asked.
func (h *house) from(number uint64) *broadcast.Reader {
	return &broadcast.Reader{B: h.b, Asked: number, At: number}
}

func (h *house) look() (search.State, Live) {
	h.t.Helper()
	reply := make(chan messages.View, 1)
	h.send(&messages.Look{Reply: reply})
	select {
	case view := <-reply:
		return view.State.(search.State), view.Live.(Live)
	default:
		h.t.Fatal("no answer to Look")
		return search.State{}, Live{}
	}
}

// link is the one with that number.
func (h *house) link(number uint64) *link {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range h.links {
		if l.number == number {
			return l
		}
	}
	h.t.Fatalf("no link %d, only %d", number, len(h.links))
	return nil
}

func (h *house) dialled() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.links)
}

// accused returns the ids that were reported to the server.
func (h *house) accused() (ids []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range h.told {
		if lost, ok := m.(*messages.PeerLost); ok {
			ids = append(ids, lost.GetId())
		}
	}
	return ids
}

// fed checks which node feeds the relay.
func (h *house) fed(want string) {
	h.t.Helper()
	if _, live := h.look(); live.Upstream != want {
		h.t.Fatalf("fed by %q, want %q", live.Upstream, want)
	}
}

// ancestor is the node of that name.
func ancestor(name string) *messages.Node {
	n := &messages.Node{Id: name, Name: name, Relay: name + ":1"}
	if name == messages.ServerID {
		n.Relay = ""
	}
	return n
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
