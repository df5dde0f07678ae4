package console

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// On a terminal each line of the log is a sentence.
func TestNewLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		log := slog.New(NewLog(&out, slog.LevelInfo))
		log.Debug("nobody wants to know")
		log.Info("now playing", "song", "air.mp3", "title", "", "artist", "")
		log.With("data", "/srv").Warn("cannot be saved", "reason", errors.New("no\nroom"))
		log.Error("the folder is away")
		at := time.Now().Format("15:04:05")
		want := at + "  now playing (song air.mp3)\n" + at + "  warning: cannot be saved (data /srv): no room\n" + at + "  error: the folder is away\n"
		if out.String() != want {
			t.Errorf("%q, want %q", out.String(), want)
		}
	})
}
