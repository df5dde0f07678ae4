package eventlog_test

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"conga/actors/eventlog"
	"conga/actors/eventlog/storetest"
	"conga/messages"
)

func joins(id string) *messages.JoinChain { return &messages.JoinChain{Node: &messages.Node{Id: id}} }

func TestLog_Fold(t *testing.T) {
	store := lasting{eventlog.NewMemory()}
	log := storetest.Open(t, store)
	storetest.Fill(t, log, 3000)
	for _, again := range []bool{false, true} { // from memory, from the store
		if again {
			log = reopened(t, log, func() *eventlog.Log { return storetest.Open(t, store) })
		}
		for _, test := range []struct{ after, last uint64 }{{0, 0}, {0, 1}, {0, 3000}, {1500, 1501}, {2999, 3000}, {10, 2500}} {
			var seqs []uint64
			err := log.Fold(test.after, test.last, func(seq uint64, event proto.Message) {
				if _, is := event.(*messages.SongQueued); is {
					seqs = append(seqs, seq)
				}
			})
			if err != nil || len(seqs) != int(test.last-test.after) || len(seqs) > 0 && seqs[0] != test.after+1 || !slices.IsSorted(seqs) {
				t.Errorf("%v: %d events, %v", test, len(seqs), err)
			}
		}
	}
}

func TestLog_Fold_Outside(t *testing.T) {
	log := storetest.Open(t, eventlog.NewMemory())
	storetest.Fill(t, log, 200)
	if err := log.Drop(100, nil); err != nil {
		t.Fatal(err)
	}
	nothing := func(uint64, proto.Message) {}
	if err := log.Fold(150, 201, nothing); err == nil {
		t.Error("folded what has not happened")
	}
	if err := log.Fold(50, 200, nothing); err == nil {
		t.Error("folded over what was dropped")
	}
	if err := log.Fold(100, 200, nothing); err != nil {
		t.Error(err)
	}
}

func TestLog_SeqAt(t *testing.T) {
	log := storetest.Open(t, eventlog.NewMemory())
	if seq, err := log.SeqAt(time.Now()); err != nil || seq != 0 {
		t.Errorf("an empty log: %d, %v", seq, err)
	}
	for range 50 {
		storetest.Fill(t, log, 7) // all with the same time
	}
	if err := log.Drop(20, nil); err != nil {
		t.Fatal(err)
	}
	records := storetest.Collect(t, log, 0)
	for _, at := range []time.Time{records[0].Time.Add(-time.Hour), records[0].Time, records[100].Time, records[100].Time.Add(time.Microsecond), time.Now().Add(time.Hour)} {
		want := log.Base()
		for _, r := range records {
			if !r.Time.After(at) {
				want = r.Seq
			}
		}
		if got, err := log.SeqAt(at); err != nil || got != want {
			t.Errorf("at %v: %d, want %d (%v)", at, got, want, err)
		}
	}
}
