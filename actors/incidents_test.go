package actors

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"conga/actors/catalog"
	"conga/actors/chainmanager"
	"conga/actors/eventlog"
	"conga/actors/eventlog/export"
	"conga/actors/pacer"
	"conga/actors/relay"
	"conga/actors/relay/search"
	"conga/actors/scheduler"
)

// incidents are the logs of real runs with crashes. testdata/incidents/README.md says how
// to add one.
func incidents(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/incidents/*.jsonl")
	if err != nil || len(files) < 6 {
		t.Fatalf("only %d incidents (%v)", len(files), err)
	}
	return files
}

func imported(t *testing.T, file string) *eventlog.Log {
	t.Helper()
	store := eventlog.NewMemory()
	if _, err := export.Import(store, recorded(file)); err != nil {
		t.Fatal(err)
	}
	log, err := eventlog.Open(store, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	return log
}

func recorded(file string) iter.Seq2[eventlog.Record, error] {
	return func(yield func(eventlog.Record, error) bool) {
		text, err := os.ReadFile(file)
		if err != nil {
			yield(eventlog.Record{}, err)
			return
		}
		lines := bufio.NewScanner(bytes.NewReader(text))
		lines.Buffer(nil, len(text)+1)
		for lines.Scan() {
			if r, err := export.DecodeJSON(lines.Bytes()); !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// The same events lead to the same state, today and with every later version.
func TestIncidents_State(t *testing.T) {
	for _, file := range incidents(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			log := imported(t, file)
			state, err := StateAt(log, log.Last())
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(strings.TrimSuffix(file, ".jsonl") + ".state.json")
			if err != nil {
				t.Fatal(err)
			}
			var compact bytes.Buffer
			if err := json.Compact(&compact, want); err != nil {
				t.Fatal(err)
			}
			if got, _ := json.Marshal(state); !bytes.Equal(got, compact.Bytes()) {
				t.Errorf("state\n%s\nwas recorded as\n%s", got, compact.Bytes())
			}
			if n, err := log.Verify(t.Context()); err != nil || n != log.Last() {
				t.Errorf("%d of %d events are sound: %v", n, log.Last(), err)
			}
		})
	}
}

// Each command, fed again at its point, yields what it yielded then.
func TestIncidents_CommandsAgain(t *testing.T) {
	for _, file := range incidents(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			log := imported(t, file)
			listener, err := IsListeners(log)
			if err != nil {
				t.Fatal(err)
			}
			var all []eventlog.Record
			for r, err := range log.Since(0) {
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, r)
			}
			commands := 0
			if listener {
				commands = again(t, all, search.State{}, map[string]func(search.State, proto.Message) []proto.Message{
					relay.Actor: search.State.Decide,
				})
			} else {
				commands = again(t, all, ServerState{}, map[string]func(ServerState, proto.Message) []proto.Message{
					scheduler.Actor:    func(s ServerState, cmd proto.Message) []proto.Message { return s.Scheduler.Decide(cmd) },
					catalog.Actor:      func(s ServerState, cmd proto.Message) []proto.Message { return s.Catalog.Decide(cmd) },
					pacer.Actor:        func(s ServerState, cmd proto.Message) []proto.Message { return s.Pacer.Decide(cmd) },
					chainmanager.Actor: func(s ServerState, cmd proto.Message) []proto.Message { return s.ChainManager.Decide(cmd) },
				})
			}
			if commands == 0 {
				t.Error("it has no commands")
			}
		})
	}
}

// again feeds each recorded command to the decider of its actor, and returns how many
// there were. Reports, which answer no command, are only applied.
func again[S interface{ Apply(proto.Message) S }](t *testing.T, all []eventlog.Record, state S, deciders map[string]func(S, proto.Message) []proto.Message) (commands int) {
	t.Helper()
	for i := 0; i < len(all); {
		commit := all[i : i+all[i].Of]
		i += all[i].Of
		if cause := commit[0].Cause; cause != nil {
			commands++
			decide := deciders[commit[0].Actor]
			if decide == nil {
				t.Fatalf("event %d is of %q, who decides nothing", commit[0].Seq, commit[0].Actor)
			}
			if got, want := told(decide(state, cause)), told(events(commit)); got != want {
				t.Errorf("at event %d, %s\ndecided\n%swas recorded as\n%s", commit[0].Seq, export.Format(cause), got, want)
			}
		}
		for _, r := range commit {
			state = state.Apply(r.Event)
		}
	}
	return commands
}

func events(records []eventlog.Record) []proto.Message {
	var all []proto.Message
	for _, r := range records {
		all = append(all, r.Event)
	}
	return all
}

func told(events []proto.Message) string {
	var text strings.Builder
	for _, event := range events {
		fmt.Fprintln(&text, export.Format(event))
	}
	return text.String()
}

// A snapshot at any event spares the events before it and changes nothing.
func TestIncidents_Snapshots(t *testing.T) {
	for _, file := range incidents(t) {
		log := imported(t, file)
		if listener, err := IsListeners(log); err != nil || listener {
			continue
		}
		want := text(t, rebuilt(t, log))
		for at := uint64(1); at <= log.Last(); at += 1 + log.Last()/20 {
			state, err := ServerStateAt(log, at)
			if err == nil {
				err = saveSnapshot(log, state, at)
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := text(t, rebuilt(t, log)); got != want {
				t.Fatalf("%s: with a snapshot at %d\n%s\nwithout\n%s", file, at, got, want)
			}
		}
	}
}

// What the incidents must show, so that nobody takes the interesting ones away.
func TestIncidents_Cover(t *testing.T) {
	seen := map[string]int{}
	for _, file := range incidents(t) {
		for r, err := range recorded(file) {
			if err != nil {
				t.Fatal(err)
			}
			seen[r.Type]++
			if r.Cause != nil {
				seen["cause "+string(r.Cause.ProtoReflect().Descriptor().Name())]++
			}
		}
	}
	for _, needed := range []string{
		"BroadcastOpened", "SongStarted", "SongEnded", "SongQueued", "PlayRefused", "SongChosen", "SongAdded", "SongRemoved",
		"ListenerJoined", "ListenerReturned", "ListenerLeft", "ListenerMoved", "ListenerReconnected", "ChainSpliced",
		"cause PeerLost", "cause LeaveChain", "cause ExpireAbsent",
		"NodeStarted", "UpstreamsAssigned", "UpstreamSought", "UpstreamConnected", "UpstreamLost", "UpstreamUnusable",
		"SearchExhausted", "RequestSent", "RequestAnswered", "SongHeard",
	} {
		if seen[needed] == 0 {
			t.Errorf("no incident has %s", needed)
		}
	}
}
