package node

import (
	"log/slog"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"conga/actors/eventlog"
	"conga/messages"
)

// A log that is larger than --keep-log allows gets shorter.
func TestServer_KeepsLogShort(t *testing.T) {
	data := MemoryData()
	log, err := eventlog.Open(data.Store, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 { // the newest 16,384 stay
		events := make([]proto.Message, 1000)
		for i := range events {
			events[i] = &messages.ListenerReconnected{Id: "amy", Name: "amy", Reason: "silent for 1s"}
		}
		if _, err := log.Append(log.Last(), "chainmanager", nil, events...); err != nil {
			t.Fatal(err)
		}
	}
	n, err := StartServer(ServerOptions{Songs: t.TempDir(), Listen: "127.0.0.1:0", Data: data, KeepLog: 1, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Stop()
	late := time.After(time.Minute)
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for n.Log.Base() == 0 {
		select {
		case <-look.C:
		case <-late:
			t.Fatal("all events are kept")
		}
	}
}
