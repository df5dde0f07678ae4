package eventlog_test

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"conga/actors/eventlog"
	"conga/actors/eventlog/storetest"
	"conga/messages"
)

// step is a command of one of two deciders.
type step struct{ kind, arg int }

func (s step) take(queue *eventlog.Keeper[storetest.Queue], room *eventlog.Keeper[storetest.Room]) (err error) {
	switch s.kind {
	case 0:
		_, err = queue.Commit(&messages.RequestPlay{Wish: fmt.Sprint(s.arg)})
	case 1:
		_, err = queue.Commit(&messages.ChooseSong{Seed: uint64(s.arg)})
	case 2:
		_, err = room.Commit(&messages.JoinChain{Node: &messages.Node{Id: fmt.Sprint(s.arg)}})
	case 3:
		_, err = room.Commit(&messages.LeaveChain{Id: fmt.Sprint(s.arg)})
	}
	return err
}

// Several keepers of different deciders that commit at the same time all end in
// the states that a replay of the log gives.
func TestKeeper_Property_StateIsReplay(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		store := &storetest.Sick{Store: eventlog.NewMemory()}
		log := storetest.Open(t, store)
		scripts := rapid.SliceOfN(rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) step {
			return step{rapid.IntRange(0, 3).Draw(rt, "kind"), rapid.IntRange(0, 4).Draw(rt, "arg")}
		}), 0, 30), 1, 4).Draw(rt, "scripts")
		failAt := rapid.IntRange(0, 40).Draw(rt, "failAt")

		var wg sync.WaitGroup
		queues := make([]*eventlog.Keeper[storetest.Queue], len(scripts))
		rooms := make([]*eventlog.Keeper[storetest.Room], len(scripts))
		for i, script := range scripts {
			queues[i], rooms[i] = storetest.Keeper(t, log, storetest.Queue{}), storetest.Keeper(t, log, storetest.Room{})
			wg.Go(func() {
				for n, s := range script {
					if n == failAt {
						store.Fail(storetest.ErrFull, s.arg%2 == 0)
					}
					err := s.take(queues[i], rooms[i])
					store.Fail(nil, false)
					if err != nil && !errors.Is(err, storetest.ErrFull) {
						t.Errorf("commit: %v", err)
					}
				}
			})
		}
		wg.Wait()
		var history []proto.Message
		for _, r := range storetest.Collect(t, log, 0) {
			history = append(history, r.Event)
		}
		for i := range scripts {
			if err := errors.Join(queues[i].CatchUp(), rooms[i].CatchUp()); err != nil {
				rt.Fatal(err)
			}
			if got, want := queues[i].State(), eventlog.Replay(storetest.Queue{}, history...); !reflect.DeepEqual(got, want) {
				rt.Fatalf("live %v, replayed %v", got, want)
			}
			if got, want := rooms[i].State(), eventlog.Replay(storetest.Room{}, history...); !reflect.DeepEqual(got, want) {
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
