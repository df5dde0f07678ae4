package cables

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// router skips the test where namespaces are not to be had.
func router(t *testing.T) *Router {
	t.Helper()
	r, err := New()
	if errors.Is(err, os.ErrPermission) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func host(t *testing.T, r *Router) *Host {
	t.Helper()
	h, err := r.Host()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func do(t *testing.T, f func() error) {
	t.Helper()
	if err := f(); err != nil {
		t.Fatal(err)
	}
}

func bind(t *testing.T, h *Host) net.Listener {
	t.Helper()
	var l net.Listener
	do(t, func() error {
		return h.Do(func() (err error) {
			l, err = net.Listen("tcp", net.JoinHostPort(h.Addr().String(), "0"))
			return err
		})
	})
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func dial(h *Host, addr string) (net.Conn, error) {
	return h.Dial(context.Background(), addr, 5*time.Second)
}

// pair is a connection from one new host to another.
func pair(t *testing.T, r *Router) (from, to *Host, near, far net.Conn, addr string) {
	t.Helper()
	from, to = host(t, r), host(t, r)
	l := bind(t, to)
	near, err := dial(from, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = near.Close() })
	if far, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = far.Close() })
	return from, to, near, far, l.Addr().String()
}

// What is sent while the plug is out arrives after it is in again; nobody can be dialled
// in between.
func TestCable_Pulled(t *testing.T) {
	from, to, near, far, _ := pair(t, router(t))
	l := bind(t, from)
	do(t, from.Pull)
	if _, err := dial(to, l.Addr().String()); !errors.Is(err, syscall.ENETUNREACH) {
		t.Errorf("dialled a host without a cable: %v", err)
	}
	if _, err := near.Write([]byte("late")); err != nil {
		t.Fatal(err)
	}
	do(t, from.Plug)
	got := make([]byte, 4)
	if _, err := io.ReadFull(far, got); err != nil || string(got) != "late" {
		t.Errorf("got %q, %v", got, err)
	}
	conn, err := dial(to, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}

func TestCable_Slow(t *testing.T) {
	from, _, near, far, _ := pair(t, router(t))
	const rate, size = 100_000, 100_000
	do(t, func() error { return from.Slow(rate) })
	send := func(conn net.Conn) {
		if _, err := conn.Write(make([]byte, size)); err != nil {
			t.Error(err)
		}
	}
	read := func(conn net.Conn) time.Duration {
		begin := time.Now()
		if _, err := io.ReadFull(conn, make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		return time.Since(begin)
	}
	go send(near)
	if took := read(far); took < time.Second/2 {
		t.Errorf("%d bytes took %v at %d bytes a second", size, took, rate)
	}
	go send(far)
	down := read(near)
	do(t, from.Fast)
	go send(near)
	t.Logf("the other way %v, and as before %v", down, read(far))
}

// A host that was given back is as good as a new one.
func TestHost_Free(t *testing.T) {
	r := router(t)
	from, _, near, far, addr := pair(t, r)
	_, _ = near.Close(), far.Close()
	do(t, func() error { return from.Slow(1000) })
	do(t, from.Pull)
	do(t, from.Free)
	again := host(t, r)
	if again.Addr() != from.Addr() {
		t.Errorf("got %v, not %v", again.Addr(), from.Addr())
	}
	conn, err := dial(again, addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}

// Hundreds of hosts have addresses of their own.
func TestRouter_Addresses(t *testing.T) {
	r := router(t)
	seen := map[string]bool{}
	for range 200 {
		addr := host(t, r).Addr()
		if seen[addr.String()] || !network.Contains(addr) {
			t.Fatalf("%v", addr)
		}
		seen[addr.String()] = true
	}
}

func TestHost_SpeaksToItself(t *testing.T) {
	h := host(t, router(t))
	conn, err := dial(h, bind(t, h).Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}

// Two hosts that are parted hear nothing of each other; a third one reaches both. What was sent meanwhile arrives afterwards.
func TestHost_Part(t *testing.T) {
	r := router(t)
	from, to, near, far, addr := pair(t, r)
	do(t, func() error { return from.Part(to) })
	var late net.Error
	if _, err := from.Dial(t.Context(), addr, 100*time.Millisecond); !errors.As(err, &late) || !late.Timeout() {
		t.Errorf("dialled a host that is parted: %v", err)
	}
	third := host(t, r)
	for _, l := range []string{addr, bind(t, from).Addr().String()} {
		conn, err := dial(third, l)
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
	}
	if _, err := near.Write([]byte("late")); err != nil {
		t.Fatal(err)
	}
	do(t, from.Meet)
	got := make([]byte, 4)
	if _, err := io.ReadFull(far, got); err != nil || string(got) != "late" {
		t.Errorf("got %q, %v", got, err)
	}
}
