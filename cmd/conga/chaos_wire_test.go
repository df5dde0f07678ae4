package main

import (
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// pair is a connection through a wire, and its far end.
func pair(t *testing.T, w *wire) (near, far net.Conn) {
	t.Helper()
	listener, err := w.net.bind("n:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	near, err = w.dial(t.Context(), listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err = listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = far.Close() })
	return near, far
}

func TestWire_Cut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(newAir().network())
		listener, err := w.bind("n:0")
		if err != nil {
			t.Fatal(err)
		}
		near, far := pair(t, w)
		w.cut()
		if _, err := far.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the far end reads: %v", err)
		}
		if _, err := near.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the near end writes: %v", err)
		}
		if _, err := listener.Accept(); err == nil {
			t.Error("it still accepts")
		}
		if _, err := w.dial(t.Context(), "n:1"); !errors.Is(err, net.ErrClosed) {
			t.Errorf("it dials: %v", err)
		}
		if _, err := w.bind("n:0"); err == nil {
			t.Error("it binds")
		}
	})
}

// A frozen node sees and says nothing, while bytes still reach it; then it goes on.
func TestWire_Freeze(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(newAir().network())
		near, far := pair(t, w)
		w.freeze()
		start := time.Now()
		time.AfterFunc(3*time.Second, w.thaw)
		if _, err := far.Write([]byte("in")); err != nil || time.Since(start) > 0 {
			t.Errorf("the kernel does not take bytes: %v after %v", err, time.Since(start))
		}
		wrote := make(chan time.Duration, 1)
		go func() {
			_, _ = near.Write([]byte("out"))
			wrote <- time.Since(start)
		}()
		got := make([]byte, 2)
		if _, err := io.ReadFull(near, got); err != nil || string(got) != "in" || time.Since(start) != 3*time.Second {
			t.Errorf("%q, %v after %v", got, err, time.Since(start))
		}
		if at := <-wrote; at != 3*time.Second {
			t.Errorf("it wrote after %v", at)
		}
		w.freeze()
		closed := make(chan struct{})
		go func() {
			_ = near.Close()
			close(closed)
		}()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("a frozen node closes nothing")
		default:
		}
		w.cut() // killed while it is frozen
		<-closed
	})
}
