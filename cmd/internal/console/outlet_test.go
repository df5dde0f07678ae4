package console

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stream is a terminal that a test holds up, or breaks.
type stream struct {
	mu    sync.Mutex
	flows sync.Cond // of still
	still bool
	takes int   // of each Write, if err is set
	err   error // nil: it takes all
	text  strings.Builder
}

func newStream() *stream {
	s := &stream{}
	s.flows.L = &s.mu
	return s
}

func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.still {
		s.flows.Wait()
	}
	n := len(p)
	if s.err != nil {
		n = min(n, s.takes)
	}
	s.text.Write(p[:n])
	return n, s.err
}

func (s *stream) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	s.flows.Broadcast()
}

func (s *stream) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// A terminal that stands still holds nobody up. When it goes on it gets what was kept, and a line says
// where something is missing.
func TestOutlet_StandsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := newStream()
		o := NewOutlet(to)
		o.Hurry()
		to.set(func() { to.still = true })
		line := strings.Repeat("x", 1023) + "\n"
		const lines = 3 * room / 1024
		for range lines {
			if n, err := o.Write([]byte(line)); n != len(line) || err != nil {
				t.Fatal(n, err)
			}
		}
		synctest.Wait()
		if o.waiting > room {
			t.Errorf("%d bytes wait", o.waiting)
		}
		to.set(func() { to.still = false })
		synctest.Wait()
		fmt.Fprintln(o, "afterwards")
		synctest.Wait()
		kept := strings.Count(to.String(), line)
		want := fmt.Sprintf("(%d lines were left out here: nobody read them in time)\nafterwards\n", lines-kept)
		if !strings.HasSuffix(to.String(), "x\n"+want) || kept < room/1024 || kept > room/1024+1 || o.waiting != 0 {
			t.Errorf("kept %d of %d lines, then %q", kept, lines, to.String()[kept*len(line):])
		}
	})
}

// A command that ends has room for its last words, and does not wait for ever until they are read.
func TestOutlet_LastWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := newStream()
		o := NewOutlet(to)
		o.Hurry()
		to.set(func() { to.still = true })
		for range 2 * room / 1024 {
			fmt.Fprintln(o, strings.Repeat("x", 1023))
		}
		o.Last()
		fmt.Fprintln(o, "receipt")
		start := time.Now()
		if err := o.Finish(LastWords); !errors.Is(err, ErrUnread) || time.Since(start) != LastWords {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		to.set(func() { to.still = false })
		if err := o.Finish(LastWords); err != nil {
			t.Error(err)
		}
		if !strings.HasSuffix(to.String(), " lines were left out here: nobody read them in time)\nreceipt\n") {
			t.Errorf("it ends with %q", to.String()[len(to.String())-100:])
		}
	})
}

// A stream that fails holds nobody up. When it takes output again, a line of its own says how much is
// missing.
func TestOutlet_Fails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, full := newStream(), errors.New("no space left")
		failures := 0
		o := NewOutlet(to, OnError(func(err error) { failures++ }))
		o.Hurry()
		say := func(text string) { fmt.Fprintln(o, text); synctest.Wait() }
		say("one")
		to.set(func() { to.err, to.takes = full, 2 })
		say("two")
		say("three")
		if err := o.Finish(LastWords); !errors.Is(err, full) {
			t.Errorf("finished with %v", err)
		}
		to.set(func() { to.err = nil })
		say("four")
		if err := o.Finish(LastWords); err != nil {
			t.Error(err)
		}
		if got := to.String(); !strings.HasPrefix(got, "one\ntw") || !strings.HasSuffix(got, "\n(2 lines were left out here: nobody read them in time)\nfour\n") || failures == 0 {
			t.Errorf("%q after %d failures", got, failures)
		}
	})
}

// If a picture has a gap, it is drawn anew.
func TestOutlet_Gap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, gaps := newStream(), 0
		var o *Outlet
		o = NewOutlet(to, OnGap(func(int) { gaps++; fmt.Fprint(o, "all") }))
		o.Hurry()
		to.set(func() { to.still = true })
		for range 3 {
			_, _ = o.Write(make([]byte, room-1))
		}
		to.set(func() { to.still = false })
		synctest.Wait()
		if gaps != 1 || !strings.HasSuffix(to.String(), "\x00all") {
			t.Errorf("%d gaps", gaps)
		}
	})
}

// A command that only prints is as fast as its reader, and gets the stream's errors. Once it is to end,
// it waits no longer.
func TestOutlet_Waits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, broken, over := newStream(), errors.New("broken"), make(chan struct{})
		o := NewOutlet(to, Until(over))
		to.set(func() { to.still = true })
		written := make(chan error, 1)
		write := func() {
			_, err := o.Write(make([]byte, 2*room))
			written <- err
		}
		go write()
		synctest.Wait()
		if len(written) > 0 {
			t.Fatal("it did not wait")
		}
		to.set(func() { to.still = false })
		if err := <-written; err != nil || len(to.String()) != 2*room {
			t.Errorf("%v, %d bytes", err, len(to.String()))
		}
		to.set(func() { to.err = broken })
		go write()
		if err := <-written; !errors.Is(err, broken) {
			t.Error(err)
		}
		if err := o.Finish(LastWords); err != nil {
			t.Errorf("told twice: %v", err)
		}
		to.set(func() { to.still, to.err = true, nil })
		go write()
		synctest.Wait()
		close(over)
		if err := <-written; !errors.Is(err, ErrUnread) {
			t.Error(err)
		}
		to.set(func() { to.still = false })
	})
}
