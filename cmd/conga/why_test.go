package main

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"conga/actors/eventlog"
	"conga/cmd/internal/node"
	"conga/messages"
)

// Why tells from the listener's own log when nobody can be asked.
func TestWhy_FromDisk(t *testing.T) {
	listeners := t.TempDir()
	j, err := node.OpenJournal("", listeners, "amy", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Log.Append(eventlog.Any, "relay", nil, &messages.NodeStarted{
		Node: &messages.Node{Id: j.Identity.ID(), Name: "amy"}, Server: "radio:7000", AtUnixUs: time.Now().UnixMicro(),
	}); err != nil {
		t.Fatal(err)
	}
	if err := j.Log.Close(); err != nil {
		t.Fatal(err)
	}
	got := ok(t, "why", "amy", "--http", "127.0.0.1:1", "--data", listeners)
	if !strings.Contains(got, "The server could not be asked") || !strings.Contains(got, "amy was started, to listen to radio:7000.") {
		t.Error(got)
	}
	refuses(t, []string{"why", "bob", "--http", "127.0.0.1:1", "--data", listeners}, "nobody answers at 127.0.0.1:1")
	refuses(t, []string{"why", "--http", "127.0.0.1:1"}, "nobody answers at 127.0.0.1:1")
	misunderstands(t, []string{"why", "--since", "soon"}, "--since")
	refuses(t, []string{"why", "--since", "2999-01-01"}, "--since 2999-01-01 has not come yet: name a time that is over")
	if got := ok(t, "why", "AMY", "--http", "127.0.0.1:1", "--data", listeners); !strings.Contains(got, "amy was started") {
		t.Error(got)
	}
}
