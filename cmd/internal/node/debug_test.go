package node

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// A debug port that is open to others is shown in the ready line, with a warning.
func TestDebug_Open(t *testing.T) {
	for addr, open := range map[string]bool{"127.0.0.1:0": false, "localhost:0": false, "0.0.0.0:0": true, ":0": true, NoHTTP: false} {
		debug, err := ListenDebug(addr)
		if err != nil {
			t.Fatal(err)
		}
		var said bytes.Buffer
		debug.WarnOpen(slog.New(slog.NewTextHandler(&said, nil)))
		if warned := strings.Contains(said.String(), "--http 127.0.0.1:"); warned != open {
			t.Errorf("%s: said %q", addr, &said)
		}
		if open && strings.Contains(debug.String(), "127.0.0.1") {
			t.Errorf("%s is shown as %s", addr, debug)
		}
		if err := debug.Close(); err != nil {
			t.Error(err)
		}
	}
}
