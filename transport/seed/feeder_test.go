package seed

import (
	"bufio"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"conga/messages"
	"conga/transport"
)

// Who leaves says DC to a client that is far behind after the chunk under way, not after all that
// the client has missed: nobody waits for that.
func TestFeeder_LeavesOneBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chunks := make([]int, 100)
		for i := range chunks {
			chunks[i] = 4
		}
		items, leaving := song(t, 40, 44100, chunks...), make(chan struct{})
		feeder := &Feeder{
			Open: func(int64) transport.Cursor { return &tape{items: items} }, Decoder: func() Decoder { return ramps{} },
			Now: func() int64 { return 0 }, Upstream: func(bool) []string { return []string{"10.0.0.1:7001"} }, Counters: &transport.Counters{},
		}
		near, far := net.Pipe()
		fed := make(chan struct{})
		go func() {
			defer close(fed)
			_ = feeder.feed(t.Context(), &transport.Stranger{
				Conn: far, Reader: bufio.NewReader(far), Leaving: leaving, Tell: func(any) {},
			}, audience{node: &messages.Node{}})
		}()
		in := bufio.NewReader(near)
		if f, err := transport.ReadFrame(in); err != nil || f.Kind != messages.KindSongChange {
			t.Fatalf("it begins with %s, %v", f.Kind, err)
		}
		synctest.Wait() // it speaks
		close(leaving)
		synctest.Wait()
		late := 0
		for {
			f, err := transport.ReadFrame(in)
			if err != nil {
				t.Fatalf("no DC, after %d bytes: %v", late, err)
			}
			if f.Kind == messages.KindLeaving {
				break
			}
			late += len(f.Payload)
		}
		if chunk := 4 * soundFrame; late != chunk {
			t.Errorf("DC came after %d bytes more, a chunk is %d", late, chunk)
		}
		_ = near.Close()
		<-fed
	})
}

// A client gets some of the music at once, so that what comes late later is no click: it begins
// that much before the newest.
func TestFeeder_Reserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const now = 1 << 50
		change := &messages.SongChange{Number: 40, SampleRate: 48000, PlayAtUnixUs: now, FramesPerChunk: 1} // 24 ms a chunk
		var items []*messages.Item
		for i := range 120 { // 2.88 s, of which the server has sent two
			item := messages.NewChunk(41+uint64(i), int64(i), make([]byte, 1))
			item.Song = change
			if item.PlayAt() <= now+messages.Slack.Microseconds() {
				items = append(items, item)
			}
		}
		feeder := &Feeder{
			Open: func(playAt int64) transport.Cursor {
				for len(items) > 0 && items[0].PlayAt() < playAt {
					items = items[1:]
				}
				return &tape{items: items}
			},
			Decoder: func() Decoder { return ramps{} }, Now: func() int64 { return now }, Counters: &transport.Counters{},
		}
		near, far := net.Pipe()
		fed := make(chan struct{})
		go func() {
			defer close(fed)
			_ = feeder.feed(t.Context(), &transport.Stranger{
				Conn: far, Reader: bufio.NewReader(far), Leaving: make(chan struct{}), Tell: func(any) {},
			}, audience{node: &messages.Node{}})
		}()
		in, bytes := bufio.NewReader(near), 0
		for start := time.Now(); time.Since(start) == 0; { // nothing more comes at once
			f, err := transport.ReadFrame(in)
			if err != nil {
				t.Fatal(err)
			}
			if f.Kind == messages.KindChunk && len(f.Payload) != pulse {
				bytes += len(f.Payload)
			}
		}
		if got := time.Duration(bytes) * time.Second / (48000 * 4); got < reserve-24*time.Millisecond || got > reserve+24*time.Millisecond {
			t.Errorf("it gets %v at once", got)
		}
		_ = near.Close()
		<-fed
	})
}
