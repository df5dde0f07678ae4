package seed

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"conga/messages"
	"conga/messages/ports"
	"conga/transport"
)

// house is a server that is all transport: its rooms are stubs.
type house struct {
	port   int
	porter *Porter
	feeder *Feeder
	pid    *actor.PID // of the requests
	system *actor.ActorSystem

	mu    sync.Mutex
	chain []*messages.Node
	joins []*messages.JoinChain
	gone  []any // LeaveChain and PeerLost, as they came
}

// openHouse starts one on two free ports above which some more are free.
func openHouse(t *testing.T, items ...*messages.Item) *house {
	t.Helper()
	port, err := ports.Free(24)
	if err != nil {
		t.Fatal(err)
	}
	requests, stream := listen(t, port), listen(t, port+1)
	h := &house{port: port, system: actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }),
		actor.WithDeadLetterThrottleInterval(time.Millisecond),
	)}
	t.Cleanup(func() { <-time.After(5 * time.Millisecond) }) // a dead letter's goroutine
	ports := NewPorts(stream)
	h.feeder = &Feeder{
		Open:    func(int64) transport.Cursor { return &tape{items: items} },
		Decoder: func() Decoder { return ramps{} },
		Now:     func() int64 { return 0 }, Upstream: func(bool) []string { return []string{"10.0.0.1:7001"} },
		Counters: &transport.Counters{},
	}
	h.porter = NewPorter(PorterConfig{
		Ports: ports, Feeder: h.feeder, Max: 3, Above: h.above,
		Speak:  func(s *transport.StandIn) { h.system.Root.Send(h.pid, s) },
		CutOff: func(id, reason string) { t.Errorf("%s was cut off: %s", id, reason) },
	})
	catalog := h.room(t, func(ctx actor.Context) {
		if _, is := ctx.Message().(*messages.ListSongs); is {
			ctx.Respond(&messages.List{Names: []string{"air.mp3", "it's \"é\".mp3"}})
		}
	})
	queue := []string{}
	scheduler := h.room(t, func(ctx actor.Context) {
		switch m := ctx.Message().(type) {
		case *messages.AskLibrary:
			ctx.Respond(nothing{})
		case *messages.ListRequests: // with all that a program of 2016 must not hear
			waiting := &messages.Requests{}
			for _, song := range queue {
				waiting.Waiting = append(waiting.Waiting, messages.Waiting{
					Song: &messages.Song{Name: song, Title: "Air"}, By: "amy", Turn: messages.Turn{Place: 1, In: time.Minute},
				})
			}
			ctx.Respond(waiting)
		case *messages.RequestPlay:
			if m.GetWish() != "air.mp3" && m.GetWish() != "1" {
				ctx.Respond(&messages.PlayAnswer{Said: &messages.PlayRefused{Reason: messages.PlayRefused_REASON_NO_SUCH_SONG}})
				return
			}
			queue = append(queue, "air.mp3")
			ctx.Respond(&messages.PlayAnswer{Said: &messages.SongQueued{Song: "air.mp3"}, Turn: messages.Turn{Place: 1, In: time.Minute}})
		}
	})
	chain := h.room(t, h.chainManager)
	h.pid = h.spawn(t, transport.Requests(transport.RequestsConfig{
		Listener: requests, Catalog: catalog, Scheduler: scheduler, Chain: chain, Seed: h.porter.Request,
	}))
	h.spawn(t, transport.Streams(transport.StreamsConfig{
		Listener: ports, Owner: chain, Seed: h.porter.Stream, Epoch: func() uint64 { return 1 },
		Self: func() *messages.Node { return &messages.Node{Id: messages.ServerID} },
		Open: func(*messages.OpenStream) (transport.Cursor, error) { return &tape{items: items}, nil },
	}))
	return h
}

func listen(t *testing.T, port int) net.Listener {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (h *house) room(t *testing.T, f actor.ReceiveFunc) *actor.PID {
	return h.spawn(t, actor.PropsFromFunc(f))
}

func (h *house) spawn(t *testing.T, props *actor.Props) *actor.PID {
	pid := h.system.Root.Spawn(props)
	t.Cleanup(func() { _ = h.system.Root.StopFuture(pid).Wait() })
	return pid
}

// above is the last of the chain.
func (h *house) above(context.Context) (*messages.Node, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.chain) > 0 {
		return h.chain[len(h.chain)-1], nil
	}
	return &messages.Node{Id: messages.ServerID}, nil
}

// chainManager puts newcomers at the end and tells all their neighbours.
func (h *house) chainManager(ctx actor.Context) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch m := ctx.Message().(type) {
	case *messages.JoinChain:
		h.joins = append(h.joins, m)
		h.remove(m.GetNode().GetId(), m.GetNode())
		ctx.Respond(&messages.Welcome{Node: m.GetNode()})
	case *messages.LeaveChain:
		h.gone = append(h.gone, m)
		h.remove(m.GetId(), nil)
	case *messages.PeerLost:
		h.gone = append(h.gone, m)
		h.remove(m.GetId(), nil)
	default:
		return
	}
	for i, node := range h.chain {
		above := &messages.Node{Id: messages.ServerID}
		if i > 0 {
			above = h.chain[i-1]
		}
		ctx.Send(h.pid, &messages.Neighbours{Id: node.GetId(), Ancestors: []*messages.Node{above}})
	}
}

// remove takes the node out, or puts another in its place; behind the last if it had none.
func (h *house) remove(id string, by *messages.Node) {
	for i, node := range h.chain {
		if node.GetId() != id {
			continue
		}
		h.chain = append(h.chain[:i:i], h.chain[i+1:]...)
		if by != nil {
			h.chain = append(h.chain[:i:i], append([]*messages.Node{by}, h.chain[i:]...)...)
		}
		return
	}
	if by != nil {
		h.chain = append(h.chain, by)
	}
}

func (h *house) state() (chain []*messages.Node, gone []any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]*messages.Node(nil), h.chain...), append([]any(nil), h.gone...)
}

// tape gives its items, and then no more.
type tape struct {
	items []*messages.Item
	over  chan struct{} // closed when more is asked for; may be nil
}

func (c *tape) Next(ctx context.Context) (*messages.Item, error) {
	if len(c.items) == 0 {
		if c.over != nil {
			close(c.over)
			c.over = nil
		}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	item := c.items[0]
	c.items = c.items[1:]
	return item, nil
}

func (c *tape) Close() {}

// ramps decodes whatever comes to the same sound, as long as the song says.
type ramps struct{}

func (ramps) Samples(item *messages.Item) []int16 {
	if item.Change != nil {
		return nil
	}
	return ramp(len(item.Frames))
}

// ramp is so many frames of samples.
func ramp(frames int) []int16 {
	samples := make([]int16, frames*soundFrame/sampleWidth)
	for i := range samples {
		samples[i] = int16(i * 3)
	}
	return samples
}

// connected are the two ends of a loopback connection.
func connected(t *testing.T) (near, far net.Conn) {
	t.Helper()
	l := listen(t, 0)
	defer l.Close()
	near, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if far, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = near.Close()
		_ = far.Close()
	})
	_ = near.SetDeadline(time.Now().Add(patience))
	_ = far.SetDeadline(time.Now().Add(patience))
	return near, far
}

// song is a song of chunks with so many frames each; a frame is a byte here. It is to be heard
// when nobody lives any more, so all of it is new to everybody.
func song(t *testing.T, number uint64, rate int32, chunks ...int) []*messages.Item {
	t.Helper()
	change, err := messages.NewSongChange(&messages.SongChange{
		Number: number, Song: "air.mp3", SampleRate: rate, PlayAtUnixUs: 1 << 51, FramesPerChunk: messages.FramesPerChunk(rate),
	})
	if err != nil {
		t.Fatal(err)
	}
	items := []*messages.Item{change}
	first := int64(0)
	for i, frames := range chunks {
		item := messages.NewChunk(number+1+uint64(i), first, make([]byte, frames))
		item.Song = change.Change
		items = append(items, item)
		first += int64(frames)
	}
	return items
}

func (h *house) joined() []*messages.JoinChain {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]*messages.JoinChain(nil), h.joins...)
}

// nothing is a library in which nobody finds anything.
type nothing struct{}

func (nothing) Mean(string) messages.Meaning      { return messages.Meaning{} }
func (nothing) Search(string) messages.FoundSongs { return messages.FoundSongs{} }
func (nothing) Song(string) *messages.Song        { return nil }
