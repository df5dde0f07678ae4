package transport

import (
	"bufio"
	"io"
	"net"
	"testing"
	"time"

	"conga/actors/window"
	"conga/messages"
)

// largeChunk is a chunk that no socket takes many of.
func largeChunk(number uint64) *messages.Item {
	item := messages.NewChunk(number, int64(number-8)*4, make([]byte, 9000))
	item.Song, item.Seal = testSong, testSeal
	return item
}

// While a listener reads, the goroutine that brings an item sends it. A listener that does not read holds up nobody, and
// gets what it has missed from where it stopped, to the byte; when the node leaves meanwhile, that comes after it.
func TestStreams_Direct(t *testing.T) {
	for _, leaves := range []bool{false, true} {
		l := listen(t)
		w := window.New()
		house := openStreams(t, l, func(c *StreamsConfig) {
			c.Open = func(open *messages.OpenStream) (Cursor, error) { return w.Open(open.GetNext()), nil }
			c.Newest = func() uint64 { return w.Next() - 1 }
		})
		add := func(number uint64) {
			if err := w.Append(largeChunk(number)); err != nil {
				t.Fatal(err)
			}
		}
		add(8)
		conn := dial(t, l)
		if err := conn.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
			t.Fatal(err)
		}
		send(t, conn, hiOf(t, 8))
		r := bufio.NewReader(conn)
		readFrame(t, r, messages.KindHi)
		last, left := uint64(7), false
		read := func() {
			for {
				frame, err := ReadFrame(r)
				if err != nil {
					t.Fatalf("after item %d: %v", last, err)
				}
				switch frame.Kind {
				case messages.KindHeartbeat, messages.KindSeal, messages.KindSongChange:
					continue
				case messages.KindLeaving:
					left = true
					return
				}
				item, err := messages.ParseItem(frame.Kind, frame.Payload)
				if err != nil || item.Number != last+1 {
					t.Fatalf("after item %d came %v, %v", last, item, err)
				}
				last++
				return
			}
		}
		read()
		next, atOnce := uint64(9), false
		for ; next < 30 && !atOnce; next++ { // its sender may not wait for more yet
			before := house.count.Chunks.Load()
			add(next)
			atOnce = house.count.Chunks.Load() == before+1
			read()
		}
		if !atOnce {
			t.Error("no item is sent before Append returns")
		}
		for ; next < 100; next++ {
			add(next)
		}
		if house.count.Chunks.Load() >= 99-7 {
			t.Error("nothing was held up")
		}
		if leaves {
			house.system.Root.Send(house.pid, &messages.SayGoodbye{})
			for !left {
				read()
			}
		} else {
			for last < 99 {
				read()
			}
		}
		_ = conn.Close()
		await[*messages.DownstreamOpened](t, house.told)
		await[*messages.DownstreamClosed](t, house.told)
		w.Close()
	}
}

// An item's way to a listener costs no memory once the seal and the song are told.
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
		if !talk.direct(item) {
			t.Error("the item was not sent at once")
		}
	}); allocs > 0 {
		t.Errorf("%.1f allocations an item", allocs)
	}
}
