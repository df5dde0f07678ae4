package chainmanager

import (
	"sync/atomic"
	"time"

	"conga/actors/eventlog"
	"conga/messages"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"
)

// reportsEvery is how often listeners' reports are written to the log, all at once.
const reportsEvery = time.Second

// reports writes listeners' reports to the log. It is a child of the chain manager, so that no decision waits
// for the disk because of them. Reports that cannot be written are dropped and counted; no decision depends on
// them.
type reports struct {
	log     *eventlog.Log
	dropped *atomic.Int64
	waiting []proto.Message
	timer   *time.Timer
}

// writeReports is its timer.
type writeReports struct{}

// maxReports bounds the reports that wait, and so the size of a commit.
const maxReports = 1000

// Receive gathers reports, and writes them reportsEvery after the first.
func (r *reports) Receive(ctx actor.Context) {
	switch msg := ctx.Message().(type) {
	case *actor.Stopping:
		if r.timer != nil {
			r.timer.Stop()
		}
		r.write()
	case *messages.ListenerReconnected:
		if len(r.waiting) == maxReports {
			r.dropped.Add(1)
			return
		}
		r.waiting = append(r.waiting, msg)
		if len(r.waiting) == 1 {
			root, self := ctx.ActorSystem().Root, ctx.Self()
			r.timer = time.AfterFunc(reportsEvery, func() { root.Send(self, writeReports{}) })
		}
	case writeReports:
		r.write()
	}
}

func (r *reports) write() {
	if _, err := r.log.Append(eventlog.Any, Actor, nil, r.waiting...); err != nil {
		r.dropped.Add(int64(len(r.waiting)))
	}
	r.waiting = nil
}
