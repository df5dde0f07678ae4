package requester

import (
	"bytes"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"conga/messages"
)

// house is a running requester in a bubble of virtual time; the test speaks for the server.
type house struct {
	t      *testing.T
	system *actor.ActorSystem
	pid    *actor.PID
	clock  *Clock

	mu      sync.Mutex
	dials   []time.Time
	links   []*link
	told    []proto.Message
	joined  int
	refused int
	broken  atomic.Bool  // the next word to the relay breaks the requester
	late    atomic.Int64 // how late the player is, in microseconds
	answers atomic.Bool  // the server answers each ping at once
	wait    atomic.Int64 // what it says how long to wait before the next, in microseconds
	still   atomic.Int64 // for so many nanoseconds the next news hold up the requester, as if its process stood still
	log     bytes.Buffer
}

// link is a connection as the requester sees it.
type link struct {
	number  uint64
	house   *house
	mu      sync.Mutex
	sent    []proto.Message
	stopped bool
}

func (l *link) Receive(ctx actor.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch msg := ctx.Message().(type) {
	case proto.Message:
		l.sent = append(l.sent, msg)
		if ping, is := msg.(*messages.ClockPing); is && l.house.answers.Load() {
			ctx.Send(ctx.Parent(), &messages.RequestsSaid{Link: l.number, Said: l.house.pongTo(ping), At: time.Now()})
		}
	case *actor.Stopping:
		l.stopped = true
	}
}

// said are the messages of this kind that were sent on the link.
func said[M proto.Message](l *link) (all []M) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.sent {
		if m, ok := m.(M); ok {
			all = append(all, m)
		}
	}
	return all
}

func inside(t *testing.T, f func(h *house)) {
	synctest.Test(t, func(t *testing.T) {
		discard := slog.New(slog.DiscardHandler)
		h := &house{t: t, clock: NewClock()}
		h.system = actor.NewActorSystem(
			actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return discard }),
			actor.WithDeadLetterThrottleInterval(time.Millisecond),
		)
		h.pid = h.system.Root.Spawn(Props(Config{
			Hello: func() *messages.Hello { return &messages.Hello{Version: 1} },
			Clock: h.clock, Owed: &Owed{}, Logger: slog.New(slog.NewTextHandler(&h.log, nil)), News: func(*messages.Playing) { time.Sleep(time.Duration(h.still.Swap(0))) },
			Dial: func(number uint64) *actor.Props {
				h.mu.Lock()
				defer h.mu.Unlock()
				l := &link{number: number, house: h}
				h.dials, h.links = append(h.dials, time.Now()), append(h.links, l)
				return actor.PropsFromProducer(func() actor.Actor { return l })
			},
			Tell: func(m proto.Message) {
				if h.broken.CompareAndSwap(true, false) {
					panic("broken")
				}
				h.mu.Lock()
				defer h.mu.Unlock()
				h.told = append(h.told, m)
			},
			Vitals: func(ping *messages.ClockPing) { ping.LateUs = h.late.Load() },
			Joined: func(_ *messages.Welcome, refused *messages.Refused) {
				h.mu.Lock()
				defer h.mu.Unlock()
				if h.joined++; refused != nil {
					h.refused++
				}
			},
		}))
		synctest.Wait()
		f(h)
		if err := h.system.Root.StopFuture(h.pid).Wait(); err != nil {
			t.Error(err)
		}
		h.system.Shutdown()
		time.Sleep(time.Second) // virtual: the dead letters' throttle ends
	})
}

func (h *house) send(m any) {
	h.system.Root.Send(h.pid, m)
	synctest.Wait()
}

func (h *house) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// last is the newest connection.
func (h *house) last() *link {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.links[len(h.links)-1]
}

func (h *house) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.links)
}

// each says it for every link: only the one that counts is heard.
func (h *house) each(m func(link uint64) any) {
	for n := range uint64(2*h.count() + 3) {
		h.system.Root.Send(h.pid, m(n))
	}
	synctest.Wait()
}

func (h *house) welcome() {
	h.each(func(n uint64) any { return &messages.RequestsOpened{Link: n} })
	h.says(&messages.Welcome{})
}

// says is a word of the server, on the connection that counts.
func (h *house) says(m proto.Message) {
	h.each(func(n uint64) any { return &messages.RequestsSaid{Link: n, Said: m, At: time.Now()} })
}

func (h *house) close() {
	h.each(func(n uint64) any { return &messages.RequestsClosed{Link: n, Reason: "gone"} })
}

func (h *house) live() Live {
	h.t.Helper()
	reply := make(chan messages.View, 1)
	h.send(&messages.Look{Reply: reply})
	return (<-reply).Live.(Live)
}

func (h *house) typed(line string) <-chan []string {
	reply := make(chan []string, 1)
	h.send(&messages.TypedLine{Line: line, Reply: reply})
	return reply
}

// stands lets the requester stand still.
func (h *house) stands(d time.Duration) {
	h.still.Store(int64(d))
	h.says(&messages.Playing{})
	h.pass(d)
}

// pong answers the newest ping; the server's clock is an hour ahead.
func (h *house) pong() {
	pings := said[*messages.ClockPing](h.last())
	if len(pings) > 0 {
		h.says(h.pongTo(pings[len(pings)-1]))
	}
}

// pongTo is the server's answer now.
func (h *house) pongTo(ping *messages.ClockPing) *messages.ClockPong {
	return &messages.ClockPong{SentUs: ping.GetSentUs(), ServerUnixUs: h.clock.Local(time.Now()) + 3600_000_000, WaitUs: h.wait.Load()}
}
