package transport

import (
	"net"
	"runtime"
	"runtime/pprof"
	"testing"
	"time"

	"go.uber.org/goleak"

	"conga/messages"
)

// A listener that is silent costs the server one goroutine and little memory: there are thousands of them.
func TestRequests_Footprint(t *testing.T) {
	goleak.VerifyNone(t) // what other tests have left has ended
	const listeners, most = 100, 28 << 10
	l := listen(t)
	house := openRequests(t, l, nil)
	warm, _ := join(t, house, dial(t, l), amy)
	sayLine(t, warm, &messages.ClockPing{SentUs: 1})
	bytes, goroutines := inUse(), runtime.NumGoroutine()
	var open []net.Conn
	for range listeners {
		raw := dial(t, l)
		conn, r := join(t, house, raw, NewIdentity())
		sayLine(t, conn, &messages.ClockPing{SentUs: 1})
		readLine[*messages.ClockPong](t, r)
		open = append(open, raw) // without its TLS: only the server's memory is measured
	}
	late := time.Now().Add(patience)
	for runtime.NumGoroutine() > goroutines+listeners && time.Now().Before(late) { // an actor's goroutine ends with its last message
		runtime.Gosched()
	}
	if n := runtime.NumGoroutine() - goroutines; n != listeners {
		t.Errorf("%d listeners have %d goroutines", listeners, n)
		_ = pprof.Lookup("goroutine").WriteTo(t.Output(), 1)
	}
	if each := (inUse() - bytes) / listeners; each > most {
		t.Errorf("a listener takes %d bytes, which should be at most %d", each, most)
	} else {
		t.Logf("a listener takes %d bytes", each)
	}
	runtime.KeepAlive(open)
}

// inUse is how many bytes the heap and all stacks take.
func inUse() int64 {
	var m runtime.MemStats
	for range 3 { // pools are emptied by the second
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
