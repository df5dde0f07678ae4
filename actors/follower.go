package actors

import (
	"conga/actors/catalog"
	"conga/actors/chainmanager"
	"conga/actors/eventlog"
	"conga/actors/pacer"
	"conga/actors/scheduler"

	"google.golang.org/protobuf/proto"
)

// Follower is the state of a server that another process runs, replayed as its log grows. It belongs to one goroutine.
type Follower struct {
	log   *eventlog.Log
	seq   uint64
	state ServerState
}

// NewFollower follows the log, which another process writes.
func NewFollower(log *eventlog.Log) *Follower { return &Follower{log: log} }

// CatchUp applies the events that are new. After an error the state is the correct one, but older than the log.
func (f *Follower) CatchUp() error {
	if err := f.log.Refresh(); err != nil {
		return err
	}
	if f.seq < f.log.Base() || f.seq == 0 {
		state, seq, err := serverStart(f.log)
		if err != nil {
			return err
		}
		f.state, f.seq = state, seq
	}
	state, at := f.state, f.seq
	err := f.log.FoldSound(at, f.log.Last(), func(seq uint64, event proto.Message) { state, at = state.Apply(event), seq })
	if err != nil {
		return err
	}
	f.state, f.seq = state, at
	return nil
}

// State returns the state at event Seq.
func (f *Follower) State() (state ServerState, seq uint64) { return f.state, f.seq }

// Snapshot returns the state for eventlog.OpenWarm; nil if there is none.
func (f *Follower) Snapshot() ([]byte, error) {
	if f.seq == 0 {
		return nil, nil
	}
	return f.log.Snapshot(f.seq, f.state.Frozen())
}

// serverStart returns a server's state where the log begins, for FoldSound.
func serverStart(log *eventlog.Log) (s ServerState, seq uint64, err error) {
	for _, begin := range []func() error{
		func() (err error) {
			s.Scheduler, seq, err = eventlog.BeginUnchecked(log, scheduler.Actor, s.Scheduler)
			return
		},
		func() (err error) {
			s.Catalog, seq, err = eventlog.BeginUnchecked(log, catalog.Actor, s.Catalog)
			return
		},
		func() (err error) { s.Pacer, seq, err = eventlog.BeginUnchecked(log, pacer.Actor, s.Pacer); return },
		func() (err error) {
			s.ChainManager, seq, err = eventlog.BeginUnchecked(log, chainmanager.Actor, s.ChainManager)
			return
		},
	} {
		if err = begin(); err != nil {
			return s, seq, err
		}
	}
	return s, seq, nil
}
