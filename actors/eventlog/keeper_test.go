package eventlog

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"conga/messages"
)

// Several keepers of different deciders that commit at the same time all end in
// the states that a replay of the log gives.
func TestKeeper_Property_StateIsReplay(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		store := &sick{Store: NewMemory()}
		log := open(t, store)
		type script struct{ kind, arg int }
		scripts := rapid.SliceOfN(rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) script {
			return script{rapid.IntRange(0, 3).Draw(rt, "kind"), rapid.IntRange(0, 4).Draw(rt, "arg")}
		}), 0, 30), 1, 4).Draw(rt, "scripts")
		failAt := rapid.IntRange(0, 40).Draw(rt, "failAt")

		var wg sync.WaitGroup
		queues := make([]*Keeper[queue], len(scripts))
		rooms := make([]*Keeper[room], len(scripts))
		for i, script := range scripts {
			queues[i], rooms[i] = newKeeper(t, log, queue{}), newKeeper(t, log, room{})
			wg.Go(func() {
				for n, s := range script {
					if n == failAt {
						store.set(errFull, s.arg%2 == 0)
					}
					var err error
					switch s.kind {
					case 0:
						_, err = queues[i].Commit(&messages.RequestPlay{Wish: fmt.Sprint(s.arg)})
					case 1:
						_, err = queues[i].Commit(&messages.ChooseSong{Seed: uint64(s.arg)})
					case 2:
						_, err = rooms[i].Commit(&messages.JoinChain{Node: &messages.Node{Id: fmt.Sprint(s.arg)}})
					case 3:
						_, err = rooms[i].Commit(&messages.LeaveChain{Id: fmt.Sprint(s.arg)})
					}
					store.set(nil, false)
					if err != nil && !errors.Is(err, errFull) {
						t.Errorf("commit: %v", err)
					}
				}
			})
		}
		wg.Wait()
		history := events(collect(t, log, 0))
		for i := range scripts {
			if err := errors.Join(queues[i].CatchUp(), rooms[i].CatchUp()); err != nil {
				rt.Fatal(err)
			}
			if got, want := queues[i].State(), Replay(queue{}, history...); !reflect.DeepEqual(got, want) {
				rt.Fatalf("live %v, replayed %v", got, want)
			}
			if got, want := rooms[i].State(), Replay(room{}, history...); !reflect.DeepEqual(got, want) {
				rt.Fatalf("live %v, replayed %v", got, want)
			}
			if queues[i].Seq() != log.Last() {
				rt.Fatalf("at %d, log at %d", queues[i].Seq(), log.Last())
			}
		}
		if _, err := log.Verify(t.Context()); err != nil {
			rt.Fatal(err)
		}
	})
}

func newKeeper[S Decider[S]](t testing.TB, log *Log, empty S) *Keeper[S] {
	t.Helper()
	k, err := NewKeeper(log, fmt.Sprintf("%T", empty), empty)
	if err != nil {
		t.Fatal(err)
	}
	return k
}
