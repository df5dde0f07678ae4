package relay

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"conga/actors/internal/broadcast"
	"conga/messages"
)

// weather decides the condition of each node above: well, dead, or frozen.
type weather struct {
	b       *broadcast.Broadcast
	mu      sync.Mutex
	nodes   map[string]condition // by address; well if not in it
	changed chan struct{}        // closed and replaced at each change
	tooMany atomic.Int64         // credits for items that were never sent
}

type condition int

const (
	well condition = iota
	dead
	frozen
)

func (w *weather) set(addr string, c condition) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nodes[addr] = c
	close(w.changed)
	w.changed = make(chan struct{})
}

func (w *weather) of(addr string) (condition, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.nodes[addr], w.changed
}

// due is when the server sends an item.
func due(item *messages.Item) time.Time {
	return time.UnixMicro(item.PlayAt()).Add(-messages.Slack)
}

// upstream plays a node above: it answers after a millisecond, sends what it has, and
// dies or freezes with the weather. A frozen one's connection is cut after its silence.
type upstream struct {
	w       *weather
	l       *link
	credits chan struct{}
	stop    context.CancelFunc
}

func (u *upstream) Receive(ctx actor.Context) {
	switch ctx.Message().(type) {
	case *actor.Started:
		root, parent, self := ctx.ActorSystem().Root, ctx.Parent(), ctx.Self()
		u.credits = make(chan struct{}, 64)
		for range 64 {
			u.credits <- struct{}{}
		}
		life, stop := context.WithCancel(context.Background())
		u.stop = stop
		go func() {
			reason := u.run(life, func(m any) { root.Send(parent, m) })
			root.Send(parent, &messages.UpstreamClosed{Link: u.l.number, Reason: reason, Fault: messages.Fault_FAULT_GONE})
			if life.Err() == nil {
				root.Stop(self)
			}
		}()
	case *messages.Credit:
		select {
		case u.credits <- struct{}{}:
		default:
			u.w.tooMany.Add(1)
		}
	case *actor.Stopping:
		u.stop()
	}
}

func (u *upstream) run(life context.Context, tell func(any)) (reason string) {
	if reason = u.wait(life, time.Now().Add(time.Millisecond)); reason != "" {
		return reason
	}
	at := u.l.open.GetNext()
	if at == 0 {
		at = 1
	}
	answer := &messages.StreamOpened{Epoch: 3}
	if !due(u.w.b.Item(at)).After(time.Now()) {
		answer.First = at
	}
	tell(&messages.UpstreamOpened{Link: u.l.number, Answer: answer})
	r := &broadcast.Reader{B: u.w.b, Asked: u.l.open.GetNext(), At: at}
	for int(r.At) <= len(u.w.b.Items) {
		if reason = u.wait(life, due(u.w.b.Item(r.At))); reason != "" {
			return reason
		}
		select {
		case <-u.credits:
		case <-life.Done():
			return "stopped"
		}
		s, song, item := r.Next()
		if s != nil {
			tell(&messages.UpstreamSeal{Link: u.l.number, Seal: s})
		}
		if song != nil {
			tell(&messages.UpstreamItem{Link: u.l.number, Item: song})
			select {
			case <-u.credits:
			case <-life.Done():
				return "stopped"
			}
		}
		tell(&messages.UpstreamItem{Link: u.l.number, Item: item})
	}
	<-life.Done()
	return "stopped"
}

// wait returns at that time, or earlier if the node is dead, silent for too long or not wanted.
func (u *upstream) wait(life context.Context, until time.Time) (reason string) {
	for {
		how, changed := u.w.of(u.l.addr)
		timer := time.NewTimer(max(time.Until(until), 0))
		if how == frozen {
			timer.Reset(messages.SilenceIsDeath)
		}
		select {
		case <-life.Done():
			timer.Stop()
			return "stopped"
		default:
		}
		if how == dead {
			timer.Stop()
			return "gone"
		}
		select {
		case <-life.Done():
			timer.Stop()
			return "stopped"
		case <-changed:
			timer.Stop()
		case <-timer.C:
			if how == frozen {
				return "silent for 1s"
			}
			return ""
		}
	}
}

// A thousand deaths and freezes of the nodes above in any mixture, also of the server and of
// all at once, while the neighbours change all the time: every item comes once.
func TestRelay_Storm(t *testing.T) {
	for seed := range uint64(5) {
		synctest.Test(t, func(t *testing.T) { storm(t, seed) })
	}
}

func storm(t *testing.T, seed uint64) {
	chance := rand.New(rand.NewPCG(seed, 1))
	h := build(t, slices.Repeat([]int{97}, 30)...) // 280 s
	defer h.end()
	w := &weather{b: h.b, nodes: map[string]condition{}, changed: make(chan struct{})}
	h.dial = func(l *link) *actor.Props {
		return actor.PropsFromProducer(func() actor.Actor { return &upstream{w: w, l: l} })
	}
	names := []string{"amy", "bob", "cem", "dan", "eve"}
	h.above(1, "cem", "bob", "amy")
	event := uint64(1)
	for range 1000 {
		time.Sleep(time.Duration(chance.IntN(400)) * time.Millisecond)
		addr := names[chance.IntN(len(names))] + ":1"
		if chance.IntN(10) == 0 {
			addr = "server:1"
		}
		w.set(addr, condition(1+chance.IntN(2)))
		go func() {
			time.Sleep(time.Duration(50+chance.IntN(2000)) * time.Millisecond)
			w.set(addr, well)
		}()
		synctest.Wait()
		if chance.IntN(4) == 0 {
			event++
			chance.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
			h.above(event, names[:1+chance.IntN(3)]...)
		}
	}
	time.Sleep(30 * time.Second)
	synctest.Wait()
	if n := w.tooMany.Load(); n > 0 {
		t.Errorf("seed %d: %d credits too many", seed, n)
	}
	state, live := h.look()
	played := uint64(0)
	for _, item := range h.b.Items {
		if due(item).Before(time.Now()) {
			played = item.Number
		}
	}
	if live.Lost+live.Twice+live.Unproved+live.Lies != 0 || live.Next != played+1 {
		t.Errorf("seed %d: %+v, next is %d", seed, live, played+1)
	}
	if whole := len(live.Songs); whole < int(played)/98-1 || !slices.Equal(live.Songs, h.b.Songs[:whole]) {
		t.Errorf("seed %d: %d sums", seed, whole)
	}
	if h.window.Last().Number != played || live.Splices < 50 {
		t.Errorf("seed %d: the window ends with %d, %d splices", seed, h.window.Last().Number, live.Splices)
	}
	if state.Upstream == nil || state.Upstream.Node.Name != state.Ancestors[0].Name {
		t.Errorf("seed %d: not back with the first choice: %+v", seed, state)
	}
	t.Logf("seed %d: %d links, %d splices, longest search %.0f ms, least margin %.0f ms, %d events",
		seed, state.Links, live.Splices, live.LongestSearchMs, *live.LowestMarginMs, h.log.Last())
}
