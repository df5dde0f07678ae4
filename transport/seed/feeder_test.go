package seed

import (
	"bufio"
	"net"
	"testing"
	"testing/synctest"

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
