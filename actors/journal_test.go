package actors

import (
	"testing"
	"time"

	"conga/actors/eventlog"
	"conga/actors/player"
	"conga/actors/relay"
	"conga/actors/relay/search"
	"conga/messages"

	"google.golang.org/protobuf/proto"
)

// After a hundred thousand events a restarted relay knows what it knew; a restarted
// listener asks its server anew, even if that has a younger log.
func TestListenerRing(t *testing.T) {
	log, err := eventlog.OpenRing(eventlog.NewMemory(), time.Now, 1000, ListenerRing())
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	keep, err := eventlog.NewKeeper(log, relay.Actor, search.State{})
	if err != nil {
		t.Fatal(err)
	}
	commit := func(cmd proto.Message) []proto.Message {
		t.Helper()
		events, err := keep.Commit(cmd)
		if err != nil {
			t.Fatal(err)
		}
		return events
	}
	amy := &messages.Node{Id: "amy", Name: "amy", Relay: "127.0.0.1:1"}
	neighbours := &messages.Neighbours{Id: "bob", Ancestors: []*messages.Node{amy}, Event: 1_000_000}
	commit(&messages.StartNode{Node: &messages.Node{Id: "bob"}})
	commit(neighbours)
	commit(&messages.LinkOpened{Link: 1})
	heard := make([]proto.Message, 500)
	for i := range heard {
		heard[i] = &messages.SongHeard{Song: "bach.mp3"}
	}
	for range 100_000 / len(heard) {
		if _, err := log.Append(eventlog.Any, player.Actor, nil, heard...); err != nil {
			t.Fatal(err)
		}
	}
	again, err := eventlog.NewKeeper(log, relay.Actor, search.State{})
	if err != nil {
		t.Fatal(err)
	}
	if log.Last() < 100_000 || log.Last()-log.Base() > 2500 {
		t.Fatalf("the ring has events %d to %d", log.Base()+1, log.Last())
	}
	if got, want := text(t, again.State()), text(t, keep.State()); got != want || again.State().Upstream == nil {
		t.Errorf("restarted it knows\n%s\nwant\n%s", got, want)
	}
	if state, err := StateAt(log, log.Last()); err != nil || text(t, state) != text(t, ListenerState{keep.State()}) {
		t.Errorf("replayed (%v)\n%s", err, text(t, state))
	}
	links := again.State().Links
	keep = again
	commit(&messages.StartNode{Node: &messages.Node{Id: "bob"}})
	if s := keep.State(); s.Upstream != nil || s.Event != 0 || s.Links < links {
		t.Errorf("a new life begins with\n%s", text(t, s))
	}
	neighbours = proto.CloneOf(neighbours)
	neighbours.Event = 3 // a server on a new log
	if events := commit(neighbours); len(events) < 2 || keep.State().Event != 3 {
		t.Errorf("a server with a younger log is not heard: %v", events)
	}
}
