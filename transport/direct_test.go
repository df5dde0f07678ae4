package transport

import (
	"io"
	"testing"
	"time"
)

// An item's way to a listener costs no memory once the seal and the song are told, nor does that of many at once.
func TestStreams_DirectAllocates(t *testing.T) {
	l := listen(t)
	conn := dial(t, l)
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	go func() { _, _ = io.Copy(io.Discard, conn) }()
	talk := &streamTalk{
		cfg: &StreamsConfig{Counters: &Counters{}}, conn: accepted, socket: socketOf(accepted), quiet: time.NewTimer(time.Hour),
		record: newRecord(), stamped: time.Now().Add(time.Hour), song: testSong, seal: testSeal,
	}
	item := testChunk(9, testSeal)
	if talk.socket == nil {
		t.Skip("this system has no way to write without waiting")
	}
	if allocs := testing.AllocsPerRun(1000, func() {
		if !talk.direct(item, false) {
			t.Error("the item was not sent at once")
		}
	}); allocs > 0 {
		t.Errorf("%.1f allocations an item", allocs)
	}
	item.Payload = make([]byte, 1700)
	if allocs := testing.AllocsPerRun(100, func() { // the listener catches up
		for range 15 {
			talk.direct(item, true)
		}
		if !talk.direct(item, false) && talk.flush() != nil {
			t.Error("the items were not sent")
		}
	}); allocs > 1 { // the buffer, if the garbage collector took it
		t.Errorf("%.1f allocations for 16 items at once", allocs)
	}
}
