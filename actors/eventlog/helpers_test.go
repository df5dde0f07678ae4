package eventlog

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"conga/messages"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// errFull stands in for a disk that has no room.
var errFull = errors.New("no space left on device")

// queue is a decider over the real words: no song twice in Songs, the first one
// is chosen.
type queue struct {
	Songs  []string `json:"songs"`
	Played int      `json:"played"`
}

func (q queue) Decide(cmd proto.Message) []proto.Message {
	switch cmd := cmd.(type) {
	case *messages.RequestPlay:
		if slices.Contains(q.Songs, cmd.GetWish()) {
			return nil
		}
		return []proto.Message{&messages.SongQueued{Song: cmd.GetWish(), ListenerName: cmd.GetListenerName()}}
	case *messages.ChooseSong:
		if len(q.Songs) == 0 {
			return nil
		}
		return []proto.Message{&messages.SongChosen{Song: q.Songs[0], Seed: cmd.GetSeed()}}
	}
	return nil
}

func (q queue) Apply(event proto.Message) queue {
	switch event := event.(type) {
	case *messages.SongQueued:
		q.Songs = append(slices.Clip(q.Songs), event.GetSong())
	case *messages.SongChosen:
		q.Songs = slices.Clone(q.Songs[1:])
		q.Played++
	}
	return q
}

// room is another decider over the same log: who is in, and what they heard.
type room struct {
	Nodes []string `json:"nodes"`
	Heard int      `json:"heard"`
}

func (r room) Decide(cmd proto.Message) []proto.Message {
	switch cmd := cmd.(type) {
	case *messages.JoinChain:
		if slices.Contains(r.Nodes, cmd.GetNode().GetId()) {
			return nil
		}
		after := messages.ServerID
		if len(r.Nodes) > 0 {
			after = r.Nodes[len(r.Nodes)-1]
		}
		return []proto.Message{
			&messages.ListenerJoined{Node: cmd.GetNode(), After: after},
			&messages.ChainSpliced{From: after, To: cmd.GetNode().GetId()},
		}
	case *messages.LeaveChain:
		if slices.Contains(r.Nodes, cmd.GetId()) {
			return []proto.Message{&messages.ListenerLeft{Id: cmd.GetId()}}
		}
	}
	return nil
}

func (r room) Apply(event proto.Message) room {
	switch event := event.(type) {
	case *messages.ListenerJoined:
		r.Nodes = append(slices.Clip(r.Nodes), event.GetNode().GetId())
	case *messages.ListenerLeft:
		r.Nodes = slices.DeleteFunc(slices.Clone(r.Nodes), func(id string) bool { return id == event.GetId() })
	case *messages.SongChosen:
		r.Heard++
	}
	return r
}

// testClock starts on a fixed day and moves a millisecond with each look at it.
func testClock() func() time.Time {
	var ticks atomic.Int64
	return func() time.Time {
		return time.Date(2026, 11, 22, 10, 11, 12, 0, time.UTC).Add(time.Duration(ticks.Add(1)) * time.Millisecond)
	}
}

func open(t testing.TB, store Store) *Log {
	t.Helper()
	log, err := Open(store, testClock())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	return log
}

func queued(song string) *messages.SongQueued { return &messages.SongQueued{Song: song} }

// fill appends n events, a hundred to a commit.
func fill(t testing.TB, log *Log, n int) {
	t.Helper()
	for done := 0; done < n; {
		var events []proto.Message
		for range min(100, n-done) {
			done++
			events = append(events, queued(fmt.Sprintf("song %d.mp3", done)))
		}
		if _, err := log.Append(log.Last(), "scheduler", &messages.RequestPlay{Wish: "x"}, events...); err != nil {
			t.Fatal(err)
		}
	}
}

func collect(t testing.TB, log *Log, seq uint64) []Record {
	t.Helper()
	var all []Record
	for r, err := range log.Since(seq) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

func events(records []Record) []proto.Message {
	var all []proto.Message
	for _, r := range records {
		all = append(all, r.Event)
	}
	return all
}

// sick is a store whose disk can be full, and can be held up.
type sick struct {
	Store
	mu   sync.Mutex
	err  error // what Append answers
	kept bool  // Append answers err and keeps the rows all the same
	lost error // what Marks answers
	gate chan struct{}
	used []int // rows of each Append
}

func (s *sick) set(err error, kept bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err, s.kept = err, kept
}

func (s *sick) hang(gate chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gate = gate
}

func (s *sick) Append(expected uint64, rows []Row) error {
	s.mu.Lock()
	gate := s.gate
	s.mu.Unlock()
	if gate != nil {
		<-gate
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used = append(s.used, len(rows))
	if s.err != nil && !s.kept {
		return s.err
	}
	if err := s.Store.Append(expected, rows); err != nil {
		return err
	}
	return s.err
}

func (s *sick) Marks() (base, last Mark, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost != nil {
		return Mark{}, Mark{}, s.lost
	}
	return s.Store.Marks()
}
