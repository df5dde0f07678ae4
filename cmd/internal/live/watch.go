package live

import (
	"context"
	"time"

	"conga/actors/eventlog"
	"conga/cmd/internal/screen"
	"conga/messages"
)

// patience is how long a busy node may hold up the picture.
const patience = time.Second

// mostCome is how many names of newcomers Watch itself remembers.
const mostCome = 1024

// Watch says in the pane what happens by the log, until ctx ends or the log is closed.
func Watch(ctx context.Context, log *eventlog.Log, pane *screen.Pane, name func(id string) string) {
	come := map[string]string{} // names of the last newcomers, which name may not know yet
	known := func(id string) string {
		if here, is := come[id]; is {
			return here
		}
		return name(id)
	}
	for record, err := range log.Watch(ctx, log.Last()) {
		if err != nil {
			return
		}
		if joined, is := record.Event.(*messages.ListenerJoined); is {
			if len(come) >= mostCome {
				clear(come)
			}
			come[joined.GetNode().GetId()] = joined.GetNode().GetName()
		}
		told := tell(record.Event, known)
		switch {
		case told.Text == "":
		case told.Trouble:
			pane.Say(record.Time.Local(), screen.Trouble, told.Text)
		default:
			pane.Say(record.Time.Local(), screen.Event, told.Text)
		}
	}
}
