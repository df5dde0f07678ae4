package actors

import (
	"fmt"
	"testing"
	"time"

	"conga/actors/catalog"
	"conga/actors/catalog/library"
	"conga/actors/chainmanager"
	"conga/actors/chainmanager/chain"
	"conga/actors/eventlog"
	"conga/actors/pacer"
	"conga/actors/pacer/place"
	"conga/actors/player"
	"conga/actors/relay"
	"conga/actors/requester"
	"conga/actors/scheduler"
	"conga/actors/scheduler/queue"
	"conga/messages"

	"google.golang.org/protobuf/proto"
)

// rebuilt is what the actors would begin with on this log.
func rebuilt(t *testing.T, log *eventlog.Log) ServerState {
	t.Helper()
	return ServerState{
		Scheduler:    kept(t, log, scheduler.Actor, queue.State{}),
		Catalog:      kept(t, log, catalog.Actor, library.State{}),
		Pacer:        kept(t, log, pacer.Actor, place.State{}),
		ChainManager: kept(t, log, chainmanager.Actor, chain.State{}),
	}
}

func kept[S eventlog.Decider[S]](t *testing.T, log *eventlog.Log, name string, empty S) S {
	t.Helper()
	keep, err := eventlog.NewKeeper(log, name, empty)
	if err != nil {
		t.Fatal(err)
	}
	return keep.State()
}

// counting counts the events that are read for a state.
type counting struct {
	eventlog.Store
	read int
}

func (c *counting) Read(after uint64, limit int, part eventlog.Part) ([]eventlog.Row, error) {
	rows, err := c.Store.Read(after, limit, part)
	if part == eventlog.EventOnly {
		c.read += len(rows)
	}
	return rows, err
}

// A server that stops in order leaves a snapshot of its last event; with it, without it
// and with a broken one the actors begin with the same.
func TestServer_Snapshot_AtStop(t *testing.T) {
	store := newDisk()
	h := open(t, store)
	h.onAir()
	for i := range 50 {
		h.ask(h.Scheduler(), play(fmt.Sprint("r", i), fmt.Sprint(i%5)), patience)
		h.ask(h.ChainManager(), join(fmt.Sprint("n", i%7)), patience)
	}
	h.Stop()
	replayed := text(t, h.replayed(h.log.Last()))
	if err := h.log.Close(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(data []byte) []byte{
		"whole":   func(data []byte) []byte { return data },
		"gone":    func([]byte) []byte { return []byte{} },
		"flipped": func(data []byte) []byte { data[len(data)/2] ^= 1; return data },
		"cut":     func(data []byte) []byte { return data[:len(data)-3] },
	} {
		t.Run(name, func(t *testing.T) {
			data, err := store.Kept("snapshot")
			if err != nil || data == nil {
				t.Fatalf("no snapshot: %v", err)
			}
			counted := &counting{Store: copied(t, store.Store)}
			if err := counted.Keep("snapshot", change(append([]byte{}, data...))); err != nil {
				t.Fatal(err)
			}
			log, err := eventlog.Open(counted, time.Now)
			if err != nil {
				t.Fatal(err)
			}
			defer log.Close()
			if got := text(t, rebuilt(t, log)); got != replayed {
				t.Errorf("rebuilt\n%s\nreplayed\n%s", got, replayed)
			}
			if used := counted.read == 0; used != (name == "whole") {
				t.Errorf("%d events were replayed", counted.read)
			}
		})
	}
}

// copied is a store with the same rows.
func copied(t *testing.T, from eventlog.Store) eventlog.Store {
	t.Helper()
	to := eventlog.NewMemory()
	rows, err := from.Read(0, 1<<20, eventlog.Whole)
	if err == nil {
		err = to.Append(0, rows)
	}
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// A server that finds no snapshot replays its log once. Then it has one, from which every actor begins.
func TestPrepare(t *testing.T) {
	store := newDisk()
	h := open(t, store)
	h.onAir()
	for i := range 50 {
		h.ask(h.ChainManager(), join(fmt.Sprint("n", i%7)), patience)
	}
	h.Stop()
	for h.log.Last() < snapshotEvery {
		if _, err := h.log.Append(eventlog.Any, scheduler.Actor, nil, &messages.SongQueued{Song: fmt.Sprint(h.log.Last())}); err != nil {
			t.Fatal(err)
		}
	}
	replayed := text(t, h.replayed(h.log.Last()))
	if err := h.log.Close(); err != nil {
		t.Fatal(err)
	}
	counted := &counting{Store: copied(t, store.Store)}
	log, err := eventlog.Open(counted, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if err := Prepare(log); err != nil {
		t.Fatal(err)
	}
	if got := text(t, rebuilt(t, log)); got != replayed {
		t.Errorf("rebuilt\n%s\nreplayed\n%s", got, replayed)
	}
	if counted.read > int(log.Last()) {
		t.Errorf("%d events were read of a log of %d", counted.read, log.Last())
	}
}

// While a server runs, a snapshot is never far behind.
func TestServer_Snapshot_WhileRunning(t *testing.T) {
	store := newDisk()
	h := open(t, store)
	defer h.close()
	h.onAir()
	often := keepSnapshots(h.Server, 5)
	defer func() { often.finish()() }()
	enough := time.Now().Add(patience)
	for i := 0; ; i++ {
		h.ask(h.ChainManager(), join(fmt.Sprint("n", i%7)), patience)
		seq := h.log.SnapshotSeq()
		if seq < 20 {
			if time.Now().After(enough) {
				t.Fatalf("the last snapshot is at event %d of %d", seq, h.log.Last())
			}
			continue
		}
		snapshot, err := store.Kept("snapshot")
		if err != nil {
			t.Fatal(err)
		}
		counted := &counting{Store: copied(t, store.Store)}
		if err := counted.Keep("snapshot", snapshot); err != nil {
			t.Fatal(err)
		}
		log, err := eventlog.Open(counted, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		got := text(t, rebuilt(t, log))
		if first := log.SnapshotSeq(); first < 20 || counted.read != 4*int(log.Last()-first) {
			t.Errorf("%d events were read behind the snapshot at %d of %d", counted.read, first, log.Last())
		}
		state, err := ServerStateAt(log, log.Last())
		if err != nil {
			t.Fatal(err)
		}
		if want := text(t, state); got != want {
			t.Errorf("from the snapshot at %d\n%s, the events say\n%s", seq, got, want)
		}
		return
	}
}

// The state of any moment follows from the events, and from an archive's state.
func TestServerStateAt(t *testing.T) {
	h := open(t, newDisk())
	defer h.close()
	h.onAir()
	for i := range 30 {
		h.ask(h.Scheduler(), &messages.RequestPlay{RequestId: fmt.Sprint("r", i), ListenerId: "amy", Wish: fmt.Sprint(i % 5)}, patience)
	}
	for _, at := range []uint64{0, 1, 5, h.log.Last()} {
		got, err := ServerStateAt(h.log, at)
		if err != nil || text(t, got) != text(t, h.replayed(at)) {
			t.Errorf("at %d: %v\n%s", at, err, text(t, got))
		}
	}
	if _, err := ServerStateAt(h.log, h.log.Last()+1); err == nil {
		t.Error("it knows the future")
	}
	before := text(t, h.replayed(20))
	if err := h.log.Drop(10, h.replayed(10).Frozen()); err != nil {
		t.Fatal(err)
	}
	if got, err := ServerStateAt(h.log, 20); err != nil || text(t, got) != before {
		t.Errorf("behind an archive: %v\n%s\nwant\n%s", err, text(t, got), before)
	}
	if _, err := ServerStateAt(h.log, 9); err == nil {
		t.Error("it knows what was archived")
	}
}

func TestIsListeners(t *testing.T) {
	for actor, want := range map[string]bool{relay.Actor: true, player.Actor: true, requester.Actor: true, pacer.Actor: false, scheduler.Actor: false} {
		log, err := eventlog.Open(eventlog.NewMemory(), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		if is, err := IsListeners(log); is || err != nil {
			t.Errorf("an empty log: %v, %v", is, err)
		}
		var event proto.Message = &messages.SongHeard{Song: "bach.mp3"}
		if _, err := log.Append(0, actor, nil, event); err != nil {
			t.Fatal(err)
		}
		if is, err := IsListeners(log); is != want || err != nil {
			t.Errorf("the log of %s: %v, %v", actor, is, err)
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
