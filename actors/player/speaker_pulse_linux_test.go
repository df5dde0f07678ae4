package player

import (
	"encoding/binary"
	"io"
	"testing"
	"time"
)

// TestSound_Stands: after the parent has stood still for seconds, what is played next is heard at once: nothing is put in the
// place of what was not there in time.
func TestSound_Stands(t *testing.T) {
	needPulse(t)
	start, _ := pulse(t, t.TempDir())
	start()
	music, in := io.Pipe()
	out, wishes := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- playPulse(&fetcher{in: music, out: wishes, over: make(chan struct{})})
		_ = wishes.Close()
	}()
	begin, stood, most := time.Now(), false, 0
	for time.Since(begin) < 6*time.Second {
		var b [wantSize]byte
		if _, err := io.ReadFull(out, b[:]); err != nil {
			t.Fatal(err)
		}
		first, second := binary.LittleEndian.Uint32(b[:]), binary.LittleEndian.Uint32(b[4:])
		switch {
		case first == ready:
			continue
		case first == plays:
			_, _ = io.CopyN(io.Discard, out, int64(second))
			continue
		case !stood && time.Since(begin) > time.Second:
			stood = true
			<-time.After(3 * time.Second)
		case stood:
			most = max(most, int(second))
		}
		if _, err := in.Write(make([]byte, first*bytesPerFrame)); err != nil {
			t.Fatal(err)
		}
	}
	_ = in.Close()
	_, _ = io.Copy(io.Discard, out)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if !stood || most > outputRate/2 {
		t.Errorf("%d frames wait before what comes next", most)
	}
}
