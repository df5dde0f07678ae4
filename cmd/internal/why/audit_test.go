package why

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"conga/actors/eventlog"
	"conga/messages"
)

// The story tells in words what the server itself saw.
func TestTell_Audited(t *testing.T) {
	s := Story{Name: "bob"}
	for i, event := range []proto.Message{
		&messages.BroadcastOpened{Epoch: 1},
		&messages.ListenerJoined{Node: &messages.Node{Id: "1", Name: "amy", Relay: "a:1"}, After: messages.ServerID},
		&messages.ListenerJoined{Node: &messages.Node{Id: "2", Name: "bob", Relay: "b:1"}, After: "1"},
		&messages.ListenerJoined{Node: &messages.Node{Id: "3", Name: "cem", Relay: "c:1"}, After: "2"},
		&messages.ListenerMoved{Id: "2", Name: "bob", After: "3", SeenBy: "3", Fault: messages.Fault_FAULT_LYING, Reason: "item 7"},
		&messages.ListenerAudited{Id: "2", Name: "bob", SeenBy: "3"},
		&messages.ListenerAudited{Id: "2", Name: "bob", SeenBy: "3", Fault: messages.Fault_FAULT_SLOW, Reason: "its music came late"},
		&messages.ListenerAudited{Id: "2", Name: "bob", SeenBy: "3", Fault: messages.Fault_FAULT_LYING, Reason: "item 9 is not what the server sealed"},
		&messages.ListenerMoved{Id: "2", Name: "bob", After: "3", SeenBy: "2", Reason: "it accused two upstreams in a row, so the fault is its own"},
		&messages.VerdictEnded{Id: "2", Name: "bob"},
	} {
		at := time.Unix(int64(1000+i), 0)
		s.Server = append(s.Server, eventlog.Record{Seq: uint64(i + 1), Time: at, Event: event})
		s.State, s.Now = s.State.Apply(event), at
	}
	lines, err := Tell(s)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(lines, "\n")
	for _, want := range []string{
		"bob was moved behind cem: cem complained about it: item 7.",
		"cem had complained about bob; the server checked bob and found nothing wrong.",
		"The server checked bob itself: its music came late.",
		"The server checked bob itself: item 9 is not what the server sealed. It feeds nobody for a while.",
		"bob was moved behind cem: it accused two upstreams in a row, so the fault is its own.",
		"bob may feed others again.",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q:\n%s", want, text)
		}
	}
}
