package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"conga/messages"
)

// recorded is a connection from which this comes.
type recorded struct {
	net.Conn
	io.Reader
}

func (r recorded) Read(p []byte) (int, error)    { return r.Reader.Read(p) }
func (recorded) SetReadDeadline(time.Time) error { return nil }

// An item that comes costs no memory but its own and its bytes'. Items that have come together are reported together.
func TestUpstream_Allocates(t *testing.T) {
	const items = 1000
	var stream []byte
	for n := range uint64(items) {
		var err error
		if stream, err = AppendFrame(stream, Frame{messages.KindChunk, messages.NewChunk(n+1, int64(4*n), make([]byte, 1700)).Payload}); err != nil {
			t.Fatal(err)
		}
	}
	credits := make(chan struct{}, upstreamCredits)
	for range upstreamCredits {
		giveBack(credits)
	}
	came, reports := 0, 0
	talk := &upstreamTalk{
		cfg: &UpstreamConfig{Silence: func() time.Duration { return time.Second }}, credits: credits,
		report: func(what any) int {
			n := len(*what.(*messages.UpstreamAtOnce))
			came += n
			reports++
			return n
		},
	}
	conn := &awake{Conn: recorded{Reader: bytes.NewReader(stream)}}
	r := newWide(conn, upstreamBuffer)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := talk.listen(context.Background(), conn, r)
	runtime.ReadMemStats(&after)
	if !errors.Is(err, io.EOF) || came != items {
		t.Fatalf("%d items came: %v", came, err)
	}
	if n := after.Mallocs - before.Mallocs; n > 2*items+items/10 {
		t.Errorf("%d items took %d allocations", items, n)
	}
	if reports > 2*items/atOnce {
		t.Errorf("%d items came in %d reports", items, reports)
	}
}
