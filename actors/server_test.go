package actors

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"conga/actors/eventlog"
	"conga/messages"
	"conga/messages/chance"
)

func text(t testing.TB, v any) string {
	t.Helper()
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// replayed is the state that the log alone gives at the event.
func (h *house) replayed(event uint64) ServerState {
	h.t.Helper()
	var state ServerState
	for record, err := range h.log.Since(0) {
		if err != nil {
			h.t.Fatal(err)
		}
		if record.Seq <= event {
			state = state.Apply(record.Event)
		}
	}
	return state
}

// While listeners come, go, ask and accuse each other, any dump's state is, byte for
// byte, what the log alone gives at the dump's event.
func TestServer_Dump_IsReplay(t *testing.T) {
	h := open(t, newDisk())
	defer h.close()
	h.onAir()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seed := chance.Seed(t)
	var busy sync.WaitGroup
	for n := range 4 {
		random := rand.New(rand.NewPCG(seed, uint64(n)))
		busy.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				id, other := fmt.Sprint("n", random.IntN(9)), fmt.Sprint("n", random.IntN(9))
				switch random.IntN(6) {
				case 0, 1:
					h.ask(h.ChainManager(), join(id), patience)
				case 2:
					h.system.Root.Send(h.ChainManager(), &messages.LeaveChain{Id: id})
				case 3:
					h.system.Root.Send(h.ChainManager(), &messages.PeerLost{Id: id, SeenBy: messages.ServerID})
				case 4:
					h.system.Root.Send(h.ChainManager(), &messages.PeerLost{Id: id, SeenBy: other})
				case 5:
					h.ask(h.Scheduler(), play(fmt.Sprint(n, "-", i), fmt.Sprint(random.IntN(5))), patience)
				}
			}
		})
	}
	var last uint64
	for range 60 {
		dump, err := h.Dump(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if dump.Event < last {
			t.Fatalf("event %d after %d", dump.Event, last)
		}
		last = dump.Event
		if got, want := text(t, dump.State), text(t, h.replayed(dump.Event)); got != want {
			t.Fatalf("at event %d the dump says\n%s\nthe log\n%s", dump.Event, got, want)
		}
	}
	cancel()
	busy.Wait()
	if last < 100 {
		t.Errorf("only %d events: nothing was tried", last)
	}
	if _, err := h.log.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

// The disk is full for a while: nothing is acknowledged meanwhile, the actors come back,
// and all that was acknowledged before is there.
func TestServer_DiskFull(t *testing.T) {
	t.Parallel()
	store := newDisk()
	h := open(t, store)
	defer h.close()
	h.onAir()
	for n, wish := range []string{"bach", "pachelbel"} {
		if a, ok := h.ask(h.Scheduler(), play(fmt.Sprint(n), wish), patience).(*messages.PlayAnswer); !ok || a.Said.(*messages.SongQueued) == nil {
			t.Fatalf("got %v", a)
		}
	}
	if a, ok := h.ask(h.ChainManager(), join("amy"), patience).(*messages.Welcome); !ok {
		t.Fatalf("got %v", a)
	}
	store.fill(true)
	for n := range 3 {
		if a := h.ask(h.Scheduler(), play(fmt.Sprint("full", n), "beethoven"), 150*time.Millisecond); a != nil {
			t.Errorf("a full disk answered %v", a)
		}
		if a := h.ask(h.ChainManager(), join("bob"), 150*time.Millisecond); a != nil {
			t.Errorf("a full disk answered %v", a)
		}
	}
	store.fill(false)
	if a, ok := h.ask(h.Scheduler(), play("healed", "beethoven"), patience).(*messages.PlayAnswer).Said.(*messages.SongQueued); !ok {
		t.Errorf("healed, it answers %v", a)
	}
	if a, ok := h.ask(h.ChainManager(), join("bob"), patience).(*messages.Welcome); !ok {
		t.Errorf("healed, it answers %v", a)
	}
	if list, want := h.queue(), []string{"bach.mp3", "pachelbel.mp3", "beethoven.mp3"}; !slices.Equal(list, want) {
		t.Errorf("the queue is %v, want %v", list, want)
	}
	dump, err := h.Dump(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if line := dump.State.(ServerState).ChainManager.Chain; line.Len() != 2 || line.Compare("amy", "bob") >= 0 {
		t.Errorf("the chain is %v", slices.Collect(line.All()))
	}
}

// The same over a store that goes on without its disk: nobody waits for it, whoever comes is taken in,
// whoever goes is gone, and when the disk is well again it has all that happened.
func TestServer_BadDisk(t *testing.T) {
	t.Parallel()
	below, well := newDisk(), make(chan struct{}, 100)
	store, err := eventlog.OpenSteady(below, eventlog.SteadyConfig{Tell: func(state eventlog.DiskState, _ error) {
		if state == eventlog.DiskFine {
			well <- struct{}{}
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	h := open(t, store)
	defer h.close()
	h.onAir()
	hang := make(chan struct{})
	for _, worse := range []func(){func() { below.fill(true) }, func() { below.stall(hang) }} {
		worse()
		for _, id := range []string{"amy", "bob"} {
			if a, ok := h.ask(h.ChainManager(), join(id), patience).(*messages.Welcome); !ok {
				t.Fatalf("%s got %v", id, a)
			}
		}
		h.system.Root.Send(h.ChainManager(), &messages.LeaveChain{Id: "amy"})
		if a, ok := h.ask(h.Scheduler(), &messages.ChooseSong{AtUnixUs: 1}, patience).(*messages.SongChosen); !ok {
			t.Fatalf("the pacer got %v", a)
		}
		if dump, err := h.Dump(t.Context()); err != nil || dump.State.(ServerState).ChainManager.Chain.Len() != 1 {
			t.Errorf("the dump: %v, %v", dump.State, err)
		}
	}
	if store.Settled(t.Context()) {
		t.Error("it is said to be on the disk")
	}
	below.stall(nil)
	close(hang)
	below.fill(false)
	select {
	case <-well:
	case <-time.After(patience):
		t.Fatal("the disk is not well again")
	}
	if !store.Settled(t.Context()) {
		t.Error("it is not on the disk")
	}
	if n, err := h.log.Verify(t.Context()); err != nil || n != h.log.Last() {
		t.Errorf("%d of %d events are sound: %v", n, h.log.Last(), err)
	}
}

// A dump of a server whose disk hangs is an error within seconds, even if nobody sets a
// deadline; when the disk is back there is a dump again.
func TestServer_Dump_NeverHangs(t *testing.T) {
	t.Parallel()
	store := newDisk()
	h := open(t, store)
	defer h.close()
	h.onAir()
	free := make(chan struct{})
	store.stall(free)
	h.system.Root.Send(h.Scheduler(), play("1", "bach"))
	began := time.Now()
	if dump, err := h.Dump(context.Background()); err == nil {
		t.Errorf("got the dump of event %d", dump.Event)
	}
	if took := time.Since(began); took > 2*lookTakes {
		t.Errorf("it took %v", took)
	}
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	began = time.Now()
	if _, err := h.Dump(short); err == nil || time.Since(began) > lookTakes {
		t.Errorf("%v after %v", err, time.Since(began))
	}
	store.stall(nil)
	close(free)
	h.await("the request", func(e proto.Message) bool { _, is := e.(*messages.SongQueued); return is })
	if _, err := h.Dump(t.Context()); err != nil {
		t.Error(err)
	}
}

// The server is started again on its log: the queue and the chain are there, the epoch is
// the next one, listeners are told their places, and news has the queue. So it is when
// the log's beginning was archived.
func TestServer_Restart(t *testing.T) {
	t.Parallel()
	for _, archived := range []bool{false, true} {
		t.Run(fmt.Sprint("archived ", archived), func(t *testing.T) {
			t.Parallel() // it waits for the listener that does not come back
			store := newDisk()
			h := open(t, store)
			h.onAir()
			for n, wish := range []string{"bach", "pachelbel"} {
				h.ask(h.Scheduler(), play(fmt.Sprint(n), wish), patience)
			}
			h.ask(h.ChainManager(), join("amy"), patience)
			h.ask(h.ChainManager(), join("bob"), patience)
			dump, err := h.Dump(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if archived {
				archive(t, h.log, dump)
			}
			before := h.Epoch()
			h.close()

			h = open(t, store)
			defer h.close()
			epoch := h.Epoch()
			if epoch <= before {
				t.Errorf("epoch %d after %d", epoch, before)
			}
			list := h.queue()
			if want := []string{"bach.mp3", "pachelbel.mp3"}; !slices.Equal(list, want) {
				t.Errorf("the queue is %v", list)
			}
			news := <-h.port.playing
			if !slices.Equal(names(news), list) || news.GetSong() == nil {
				t.Errorf("the news is %v", news)
			}
			if a, ok := h.ask(h.Scheduler(), play("1", "pachelbel"), patience).(*messages.PlayAnswer).Said.(*messages.SongQueued); !ok || a.GetSong() != "pachelbel.mp3" {
				t.Errorf("a request sent again is answered %v", a)
			}
			if a, ok := h.ask(h.ChainManager(), join("bob"), patience).(*messages.Welcome); !ok || a.GetEpoch() != epoch {
				t.Errorf("bob, who is back, is told %v", a)
			}
			told := <-h.port.neighbours
			for told.GetId() != "bob" {
				told = <-h.port.neighbours
			}
			if told.GetAncestors()[0].GetId() != "amy" || told.GetEvent() == 0 {
				t.Errorf("bob's neighbours are %v", told)
			}
			// Amy does not come back.
			h.await("the end of waiting", func(e proto.Message) bool {
				left, is := e.(*messages.ListenerLeft)
				return is && left.GetId() == "amy" && left.GetCause() == messages.ListenerLeft_CAUSE_DID_NOT_RETURN
			})
		})
	}
}

// queue are the songs that wait.
func (h *house) queue() (names []string) {
	for _, w := range h.ask(h.Scheduler(), &messages.ListRequests{}, patience).(*messages.Requests).Waiting {
		names = append(names, w.Song.GetName())
	}
	return names
}

// names are the songs that come, by the news.
func names(news *messages.Playing) (names []string) {
	for _, coming := range news.GetQueue() {
		names = append(names, coming.GetSong().GetName())
	}
	return names
}

// archive drops all events that the dump has.
func archive(t *testing.T, log *eventlog.Log, dump Dump) {
	t.Helper()
	if err := log.Drop(dump.Event, dump.State.(ServerState).Frozen()); err != nil {
		t.Fatal(err)
	}
}

// A request without an id is answered as what it is.
func TestServer_RequestWithoutID(t *testing.T) {
	h := open(t, newDisk())
	defer h.close()
	h.onAir()
	if a, ok := h.ask(h.Scheduler(), play("", "bach"), patience).(*messages.PlayAnswer).Said.(*messages.SongQueued); !ok || a.GetSong() != "bach.mp3" {
		t.Errorf("got %v", a)
	}
	if a, ok := h.ask(h.Scheduler(), play("", "bach"), patience).(*messages.PlayAnswer).Said.(*messages.PlayRefused); !ok || a.GetReason() != messages.PlayRefused_REASON_ALREADY_REQUESTED {
		t.Errorf("got %v", a)
	}
}

// The scheduler answers by the newest events, also those of the pacer: a song that is on is in the history at once.
func TestServer_History(t *testing.T) {
	h := open(t, newDisk())
	defer h.close()
	h.onAir()
	history := h.ask(h.Scheduler(), &messages.ListHistory{AtUnixUs: math.MaxInt64}, patience).(*messages.History)
	if len(history.Heard) != 1 || history.Heard[0].Song.GetName() == "" {
		t.Errorf("while a song is on, the history is %v", history.Heard)
	}
}

// Listeners read what the pacer gives out; a newcomer begins where the music is now.
func TestServer_Open(t *testing.T) {
	h := open(t, newDisk())
	defer h.close()
	h.onAir()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	first, err := h.Open(&messages.OpenStream{Next: 1}).Next(ctx)
	if err != nil || first.Number != 1 || first.Change == nil {
		t.Errorf("%v, %v", first, err)
	}
	now := time.Now().UnixMicro()
	item, err := h.Open(&messages.OpenStream{PlayAtUnixUs: now}).Next(ctx)
	if err != nil || item.PlayAt() < now || item.PlayAt() > now+messages.Slack.Microseconds() {
		t.Errorf("%v, %v", item, err)
	}
}
