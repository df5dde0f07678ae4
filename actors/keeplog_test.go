package actors

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"conga/actors/chainmanager"
	"conga/actors/chainmanager/chain"
	"conga/actors/eventlog"
	"conga/actors/eventlog/sqlite"
	"conga/actors/pacer"
	"conga/messages"
	"conga/messages/raced"

	"google.golang.org/protobuf/proto"
)

// A server's log stays within its limit while listeners come, go and ask as fast as they can;
// what is kept is sound, what the actors know is what all events say, and the next server
// begins with it.
func TestServer_KeepLog(t *testing.T) {
	for name, make := range map[string]func(*testing.T) (eventlog.Store, func() eventlog.Store){
		"memory": func(*testing.T) (eventlog.Store, func() eventlog.Store) {
			d := newDisk()
			return d, func() eventlog.Store { return d }
		},
		"sqlite": func(t *testing.T) (eventlog.Store, func() eventlog.Store) {
			dir := t.TempDir()
			open := func() eventlog.Store {
				store, err := sqlite.Open(dir)
				if err != nil {
					t.Fatal(err)
				}
				return store
			}
			return open(), open
		},
	} {
		t.Run(name, func(t *testing.T) {
			const step, newest = 100, 200
			limit, enough := int64(raced.Size(400, 200))<<10, raced.Size[uint64](6000, 3000)
			store, again := make(t)
			h := open(t, store)
			h.onAir()
			var all ServerState // by all events, from the first on
			var followed sync.WaitGroup
			followed.Go(func() {
				for r, err := range h.log.Watch(t.Context(), 0) {
					if err != nil {
						return // the log is closed
					}
					all = all.Apply(r.Event)
				}
			})
			folding := (&logKeeper{server: h.Server, limit: limit, step: step, never: newest, pause: time.Millisecond}).run()
			var crowd sync.WaitGroup
			for n := range 4 {
				crowd.Go(func() {
					for i := 0; h.log.Last() < enough; i++ {
						id := fmt.Sprint("n", n, "-", i%5)
						h.ask(h.ChainManager(), join(id), patience)
						h.ask(h.Scheduler(), &messages.RequestPlay{RequestId: fmt.Sprint(n, "-", i), ListenerId: id, Wish: fmt.Sprint(i % 5)}, patience)
						h.system.Root.Send(h.ChainManager(), &messages.LeaveChain{Id: id})
					}
				})
			}
			crowd.Wait()
			for size := limit + 1; size > limit; { // the last steps may still be under way
				var err error
				if size, err = h.log.Size(); err != nil {
					t.Fatal(err)
				}
				h.ask(h.ChainManager(), join("last"), patience)
			}
			if base := h.log.Base(); base < step || h.log.Last()-base < newest {
				t.Errorf("events up to %d of %d are folded", base, h.log.Last())
			}
			folding.finish()
			dump, err := h.Dump(t.Context()) // of actors, some of which had nothing to do for long
			if err != nil {
				t.Fatal(err)
			}
			if then, err := ServerStateAt(h.log, dump.Event); err != nil || text(t, dump.State) != text(t, then) {
				t.Errorf("the dump says, %v\n%s\nthe log says\n%s", err, text(t, dump.State), text(t, then))
			}
			h.Stop()
			last := h.log.Last()
			if n, err := h.log.Verify(t.Context()); err != nil || n != last-h.log.Base() {
				t.Errorf("%d events are sound: %v", n, err)
			}
			state, err := ServerStateAt(h.log, last)
			if err != nil {
				t.Fatal(err)
			}
			if err := h.log.Close(); err != nil {
				t.Fatal(err)
			}
			followed.Wait()
			if got, want := text(t, state), text(t, all); got != want {
				t.Errorf("what is kept says\n%s\nall events say\n%s", got, want)
			}
			next := open(t, again())
			defer next.close()
			if next.Epoch() <= all.Pacer.Epoch {
				t.Errorf("the next server has epoch %d, the last had %d", next.Epoch(), all.Pacer.Epoch)
			}
		})
	}
}

// A state where a log begins is read by a later program, which knows more, and not by one
// that knows less.
func TestKeepLog_LaterProgram(t *testing.T) {
	log, err := eventlog.Open(eventlog.NewMemory(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if _, err := log.Append(0, "pacer", nil, &messages.BroadcastOpened{Epoch: 1}, &messages.BroadcastOpened{Epoch: 2}); err != nil {
		t.Fatal(err)
	}
	state, err := ServerStateAt(log, 2)
	if err != nil {
		t.Fatal(err)
	}
	change := func(do func(map[string]any)) map[string]eventlog.Frozen {
		data, err := json.Marshal(state.Pacer)
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]any
		if err := json.Unmarshal(data, &fields); err != nil {
			t.Fatal(err)
		}
		do(fields)
		other := state.Frozen()
		other[pacer.Actor] = eventlog.Freeze(fields)
		return other
	}
	if err := log.Drop(1, change(func(f map[string]any) { delete(f, "nextPlayAtUnixUs") })); err != nil {
		t.Fatal(err)
	}
	if _, err := ServerStateAt(log, 2); err != nil {
		t.Errorf("a state from before a field was there: %v", err)
	}
	if err := log.Drop(2, change(func(f map[string]any) { f["later"] = 1 })); err != nil {
		t.Fatal(err)
	}
	if _, err := ServerStateAt(log, 2); err == nil {
		t.Error("a later program's state is taken for a whole one")
	}
}

// Events older than they may be are folded while others are written, also if a single commit is longer than a
// step; what is kept is sound, and says what all events say.
func TestKeepLog_Age(t *testing.T) {
	const days, most, crowd = 40, 30, 1000
	store := eventlog.NewMemory()
	var at atomic.Int64 // hours since the first event
	now := func() time.Time { return time.Unix(1e9, 0).Add(time.Duration(at.Load()) * time.Hour) }
	log, err := eventlog.Open(store, now)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	line, idle := keeper(t, log), keeper(t, log)
	var all ServerState // by all events
	commit := func(cmd proto.Message) {
		t.Helper()
		events, err := line.Commit(cmd)
		if err != nil {
			t.Fatal(err)
		}
		for _, event := range events {
			all = all.Apply(event)
		}
	}
	var lost []*messages.PeerLost
	for i := range crowd { // they come one by one on the first day, and vanish together
		id := fmt.Sprint("crowd", i)
		commit(join(id))
		lost = append(lost, &messages.PeerLost{Id: id, SeenBy: messages.ServerID})
	}
	commit(&messages.PeersLost{Lost: lost})
	k := (&logKeeper{
		server: &Server{cfg: ServerConfig{Log: log, Now: now, Logger: slog.New(slog.DiscardHandler)}},
		age:    most * 24 * time.Hour, step: 100, never: 1 << 20,
	}).run()
	for hour := range int64(days * 24) {
		at.Store(hour)
		commit(join(fmt.Sprint("n", hour)))
		if hour > 3 {
			commit(&messages.LeaveChain{Id: fmt.Sprint("n", hour-3)})
		}
	}
	oldest := now().Add(-most * 24 * time.Hour)
	for begins := (time.Time{}); oldest.Sub(begins) > ageEvery; runtime.Gosched() { // the last steps may still be under way
		if first, err := log.MarkAt(log.Base() + 1); err == nil { // it has not been dropped since
			begins = time.UnixMicro(first.Time)
		}
	}
	k.finish()
	if n, err := log.Verify(t.Context()); err != nil || n != log.Last()-log.Base() {
		t.Errorf("%d events are sound: %v", n, err)
	}
	if rows, err := store.Read(0, 1, eventlog.EventOnly); err != nil || rows[0].Seq != log.Base()+1 {
		t.Errorf("the store has %v, %v behind the base %d", rows, err, log.Base())
	}
	if state, err := ServerStateAt(log, log.Last()); err != nil || text(t, state) != text(t, all) {
		t.Errorf("what is kept says %v\n%s\nall events say\n%s", err, text(t, state), text(t, all))
	}
	if err := idle.CatchUp(); err != nil || text(t, idle.State()) != text(t, line.State()) {
		t.Errorf("an actor that had nothing to do for %d days knows %v\n%s", days, err, text(t, idle.State()))
	}
}

func keeper(t *testing.T, log *eventlog.Log) *eventlog.Keeper[chain.State] {
	t.Helper()
	k, err := eventlog.NewKeeper(log, chainmanager.Actor, chain.State{})
	if err != nil {
		t.Fatal(err)
	}
	return k
}
