package baseline

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A message comes through all relays, later at each one than at the one before.
func TestRelays(t *testing.T) {
	r, err := StartRelays(5, 64, 2*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	r.Begin()
	through := func() bool { // a message has passed the last relay since Begin
		r.mu.Lock()
		defer r.mu.Unlock()
		for number := range r.at[4] {
			if _, has := r.at[0][number]; has {
				return true
			}
		}
		return false
	}
	for !through() {
		<-time.After(time.Millisecond)
	}
	at := r.End()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for number, last := range at[4] {
		for i := 3; i >= 0; i-- {
			before, has := at[i][number]
			if has && before.After(last) {
				t.Errorf("message %d was at relay %d at %v, and at the next one earlier, at %v", number, i, before, last)
			}
			last = before
		}
	}
	if _, err := StartRelays(1, 1, time.Second); err == nil {
		t.Error("a message without room for its number is taken")
	}
}

func TestCopy(t *testing.T) {
	took, err := Copy(10, 1<<20)
	if err != nil || took <= 0 {
		t.Errorf("it took %v: %v", took, err)
	}
}

// Each client gets the newest message at once and then all that follow; when the music ends, it begins again.
func TestFan(t *testing.T) {
	music := []byte("abcdefgh-")
	f, err := StartFan(music, 2, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", f.Addr())
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 40)
	if _, err := io.ReadFull(conn, got); err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	readers, err := StartReaders(f.Addr(), 3, "hello")
	if err != nil {
		t.Fatal(err)
	}
	for readers.Read() < 30 {
		<-time.After(time.Millisecond)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := readers.Close(); err != nil {
		t.Fatal(err)
	}
	if f.Sent() < readers.Read() {
		t.Errorf("%d bytes were sent, and %d read", f.Sent(), readers.Read())
	}
	if endless := bytes.Repeat([]byte("abcdefgh"), 10); !bytes.Contains(endless, got[2:]) { // before it, the burst
		t.Errorf("the client got %q", got)
	}
	if _, err := StartFan(music, 0, time.Second); err == nil {
		t.Error("messages of no bytes are taken")
	}
}

func TestGreeter(t *testing.T) {
	g, err := StartGreeter(make([]byte, 100))
	if err != nil {
		t.Fatal(err)
	}
	for _, atOnce := range []bool{false, true} {
		each, all, err := Greet(g.Addr(), 5, 100, atOnce)
		if err != nil || len(each) != 5 || all <= 0 {
			t.Errorf("at once %v: %v %v %v", atOnce, each, all, err)
		}
		for _, took := range each {
			if took <= 0 || took > all {
				t.Errorf("one took %v, all %v", took, all)
			}
		}
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Greet(g.Addr(), 1, 1, false); err == nil {
		t.Error("a closed greeter greets")
	}
}
