package actors

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"conga/actors/catalog"
	"conga/actors/chainmanager"
	"conga/actors/eventlog"
	"conga/actors/pacer"
	"conga/actors/scheduler"

	"google.golang.org/protobuf/proto"
)

// snapshotEvery is after how many events the states are saved, and one more for each of the first 8,192 songs: to replay that
// many takes some ten milliseconds, and saving about as long. A server that was killed replays them before it plays on.
const snapshotEvery = 1024

// snapshots saves the server's states beside the log now and then, so that a year's log
// opens as fast as a day's. They are a cache: losing one only costs time.
type snapshots struct {
	server *Server
	every  uint64
	stop   context.CancelFunc
	wg     sync.WaitGroup
}

func keepSnapshots(s *Server, every uint64) *snapshots {
	ctx, stop := context.WithCancel(context.Background())
	k := &snapshots{server: s, every: every, stop: stop}
	k.wg.Go(func() { k.watch(ctx) })
	return k
}

// watch saves a snapshot whenever the last one is old enough.
func (k *snapshots) watch(ctx context.Context) {
	log := k.server.cfg.Log
	saved, songs := log.SnapshotSeq(), 0
	for record, err := range log.Watch(ctx, log.Last()) {
		if err != nil {
			return // the log is closed, or its disk is broken: others report that
		}
		if record.Seq < saved+k.every+min(uint64(songs), 8*snapshotEvery) {
			continue
		}
		state, event, err := k.server.state(ctx)
		if err == nil {
			err = saveSnapshot(log, state, event)
		}
		songs = state.Catalog.Songs.Len()
		saved = record.Seq // after a failure, too, so that it is not tried again with every event
		if ctx.Err() == nil {
			k.tell(err)
		}
	}
}

// tell says that a snapshot could not be saved, unless another server has the log now and saves its own.
func (k *snapshots) tell(err error) {
	if err != nil && !errors.Is(err, eventlog.ErrFenced) {
		k.server.cfg.Logger.Warn("no snapshot could be saved; the next start replays more", "reason", err)
	}
}

// Prepare checks the events on which states will be built. If there is no snapshot, as after an upgrade of conga, it replays the
// log meanwhile, once for all actors, and saves one: else each of them would replay it. A server's music waits for its start.
func Prepare(log *eventlog.Log) error {
	if log.SnapshotSeq() > 0 || log.Last() < log.Base()+snapshotEvery {
		return log.Prove()
	}
	last := log.Last()
	state, err := ServerStateAt(log, last)
	if err == nil {
		_ = saveSnapshot(log, state, last) // without it the start takes longer
	}
	return err
}

// finish ends the watch and returns a function that saves the last snapshot. Call it when the actors
// have stopped, so that their last events are in it.
func (k *snapshots) finish() (save func()) {
	k.stop()
	k.wg.Wait()
	state, event, err := k.server.state(context.Background())
	return func() {
		log := k.server.cfg.Log
		last := log.Last()
		if err == nil {
			err = log.Fold(event, last, func(_ uint64, e proto.Message) { state = state.Apply(e) })
		}
		if err == nil {
			err = saveSnapshot(log, state, last)
		}
		k.tell(err)
	}
}

func saveSnapshot(log *eventlog.Log, state ServerState, event uint64) error {
	return log.SaveSnapshot(event, state.Frozen())
}

// state returns the state of all actors at one event, and the event's number.
func (s *Server) state(ctx context.Context) (ServerState, uint64, error) {
	views, err := s.look(ctx, catalog.Actor, scheduler.Actor, pacer.Actor, chainmanager.Actor)
	if err != nil {
		return ServerState{}, 0, fmt.Errorf("the server is busy or restarting an actor: %w", err)
	}
	return s.align(views)
}
