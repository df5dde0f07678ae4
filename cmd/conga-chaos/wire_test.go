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

// onWire is a wire with a port and a connection.
func onWire(t *testing.T) (w *wire, listener net.Listener, near, far net.Conn) {
	t.Helper()
	w = newWire(newMemNet().network())
	listener, err := w.bind("n:0")
	if err != nil {
		t.Fatal(err)
	}
	near, far = pair(t, w)
	return w, listener, near, far
}

func TestWire_Cut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, listener, near, far := onWire(t)
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

// To others a killed node is gone at once. It sees nothing of that itself.
func TestWire_Die(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, listener, near, far := onWire(t)
		ended := make(chan error, 3)
		go func() { _, err := near.Read(make([]byte, 1)); ended <- err }()
		go func() { _, err := listener.Accept(); ended <- err }()
		w.fall()
		if _, err := w.net.dial(t.Context(), listener.Addr().String()); err == nil {
			t.Error("one that is about to die lets somebody in")
		}
		w.die()
		if _, err := far.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the far end reads: %v", err)
		}
		go func() { _, err := w.dial(t.Context(), "n:1"); ended <- err }()
		w.thaw() // SIGCONT wakes no dead
		time.Sleep(time.Minute)
		if len(ended) > 0 {
			t.Errorf("it goes on: %v", <-ended)
		}
		w.cut()
		for range cap(ended) {
			if err := <-ended; err == nil {
				t.Error("it goes on after the cut")
			}
		}
	})
}

// A frozen node sees and says nothing, while bytes still reach it; then it goes on.
func TestWire_Freeze(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWire(newMemNet().network())
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
