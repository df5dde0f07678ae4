package live

import (
	"context"
	"time"

	"conga/actors/eventlog"
	"conga/cmd/internal/screen"
)

// patience is how long a busy node may hold up the picture.
const patience = time.Second

// Watch says in the pane what happens by the log, until ctx ends or the log is closed.
func Watch(ctx context.Context, log *eventlog.Log, pane *screen.Pane, name func(id string) string) {
	for record, err := range log.Watch(ctx, log.Last()) {
		if err != nil {
			return
		}
		told := tell(record.Event, name)
		switch {
		case told.Text == "":
		case told.Trouble:
			pane.Say(record.Time.Local(), screen.Trouble, told.Text)
		default:
			pane.Say(record.Time.Local(), screen.Event, told.Text)
		}
	}
}
