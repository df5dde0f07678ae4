package actors

import (
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"conga/actors/eventlog"
	"conga/messages"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

var errFull = errors.New("no space left on device")

// disk is a store that can fill up, hang, and survive its server.
type disk struct {
	eventlog.Store
	mu   sync.Mutex
	full bool
	hang chan struct{} // appends wait until it is closed; nil: they do not
}

func newDisk() *disk { return &disk{Store: eventlog.NewMemory()} }

func (d *disk) Append(expected uint64, rows []eventlog.Row) error {
	d.mu.Lock()
	full, hang := d.full, d.hang
	d.mu.Unlock()
	if hang != nil {
		<-hang
	}
	if full {
		return errFull
	}
	return d.Store.Append(expected, rows)
}

func (d *disk) fill(full bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full = full
}

func (d *disk) stall(until chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hang = until
}

func (*disk) Close() error { return nil }

// port stands where the transport does: it keeps what it is told.
type port struct {
	neighbours chan *messages.Neighbours
	playing    chan *messages.Playing
	roll       atomic.Pointer[messages.Roll] // what it answers to who calls it; nil: nothing
}

// Receive keeps the newest news; it never blocks the tree.
func (p *port) Receive(ctx actor.Context) {
	switch msg := ctx.Message().(type) {
	case *messages.Neighbours:
		select {
		case p.neighbours <- msg:
		default:
		}
	case *messages.Playing:
		select {
		case p.playing <- msg:
		default:
		}
	case *messages.CallRoll:
		if roll := p.roll.Load(); roll != nil {
			ctx.Respond(roll)
		}
	}
}

// house is a running server without a network.
type house struct {
	*Server
	t    *testing.T
	log  *eventlog.Log
	port *port
}

func open(t *testing.T, store eventlog.Store) *house {
	t.Helper()
	log, err := eventlog.Open(store, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	h := &house{t: t, log: log, port: &port{neighbours: make(chan *messages.Neighbours, 1000), playing: make(chan *messages.Playing, 1000)}}
	nobody := actor.PropsFromFunc(func(actor.Context) {})
	h.Server, err = StartServer(ServerConfig{
		System: actor.NewActorSystem(
			actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet }),
			actor.WithDeadLetterThrottleInterval(time.Millisecond), // its goroutine outlives the system by this
		),
		Log: log, Songs: "../songs", Key: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)),
		Now: time.Now, Logger: quiet,
		Streams:  func(*Server) *actor.Props { return nobody },
		Requests: func(*Server) *actor.Props { return actor.PropsFromProducer(func() actor.Actor { return h.port }) },
		Sent:     func() (int64, int64) { return 0, 0 },
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *house) close() {
	h.t.Helper()
	h.Stop()
	if err := h.log.Close(); err != nil {
		h.t.Error(err)
	}
}

// ask sends the message and returns the answer; nil if there is none within d.
func (h *house) ask(to *actor.PID, message any, d time.Duration) any {
	answer := make(chan any, 1)
	root := h.system.Root
	asker := root.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
		switch msg := ctx.Message().(type) {
		case actor.SystemMessage, actor.AutoReceiveMessage:
		default:
			answer <- msg
		}
	}))
	defer func() { _ = root.StopFuture(asker).Wait() }()
	root.RequestWithCustomSender(to, message, asker)
	select {
	case a := <-answer:
		return a
	case <-time.After(d):
		return nil
	}
}

// await watches the log until want is satisfied by an event.
func (h *house) await(what string, want func(proto.Message) bool) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	for record, err := range h.log.Watch(ctx, 0) {
		if err != nil {
			h.t.Fatal(err)
		}
		if want(record.Event) {
			return
		}
	}
	h.t.Fatalf("%s never came", what)
}

// onAir waits until the three songs are known and one is on.
func (h *house) onAir() {
	h.t.Helper()
	h.await("a song", func(e proto.Message) bool { _, is := e.(*messages.SongStarted); return is })
	songs := 0
	h.await("three songs", func(e proto.Message) bool {
		if _, is := e.(*messages.SongAdded); is {
			songs++
		}
		return songs == 3
	})
}

func play(id, wish string) *messages.RequestPlay {
	return &messages.RequestPlay{RequestId: id, ListenerName: "amy", Wish: wish}
}

func join(id string) *messages.JoinChain {
	return &messages.JoinChain{Node: &messages.Node{Id: id, Name: id, Relay: id + ":1"}}
}
