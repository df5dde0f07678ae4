package transport

import (
	"net"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A stream is as far behind as the oldest that was given and has not arrived, and all that was not given.
func TestOutflow_Property(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var o outflow
		inSystem := 0
		if rapid.Bool().Draw(t, "the system says") {
			o.waiting = func() int { return inSystem }
		}
		var given []int64 // at each look
		for range rapid.IntRange(1, 100).Draw(t, "looks") {
			o.given.Add(int64(rapid.SampledFrom([]int{0, 5, 1000}).Draw(t, "given")))
			o.taken.Add(rapid.Int64Range(0, o.given.Load()-o.taken.Load()).Draw(t, "taken"))
			arrived := o.taken.Load()
			if o.waiting != nil {
				inSystem = rapid.IntRange(0, int(o.taken.Load())).Draw(t, "in the system")
				arrived -= int64(inSystem)
			}
			left := rapid.Int64Range(0, 50).Draw(t, "left")
			o.left.Store(left)
			behind, begun := o.look()
			behind -= itemsLast(left)
			want := time.Duration(0)
			for ago := 1; ago <= min(len(given), mostLooks); ago++ {
				if given[len(given)-ago] > arrived {
					want = time.Duration(ago) * UplinkLook
				}
			}
			if behind > want {
				t.Fatalf("%v behind, want %v", behind, want)
			}
			if o.waiting == nil && behind != want { // otherwise bytes may have come back, which no system does
				t.Fatalf("%v behind, want %v", behind, want)
			}
			if begun != (len(given) > 0 && given[len(given)-1] > 0) {
				t.Fatalf("begun: %v", begun)
			}
			given = append(given, o.given.Load())
		}
	})
}

// The system says that what nobody reads has not arrived.
func TestWaitingOf(t *testing.T) {
	l := listen(t)
	_ = dial(t, l)
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	waiting := waitingOf(conn)
	if waiting == nil {
		t.Skip("this system does not say")
	}
	if n := waiting(); n != 0 {
		t.Errorf("%d bytes wait before the first", n)
	}
	socket := socketOf(conn)
	for some := make([]byte, 64<<10); socket.try(some) > 0; { // until it takes no more
	}
	if waiting() == 0 {
		t.Error("the system takes no more, and says that all has arrived")
	}
	_ = conn.Close()
	if n := waiting(); n != 0 {
		t.Errorf("%d bytes wait on a closed connection", n)
	}
	if waitingOf(struct{ net.Conn }{}) != nil {
		t.Error("a connection that is not the system's says how much waits")
	}
}
