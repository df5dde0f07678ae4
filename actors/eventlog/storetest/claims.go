package storetest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"conga/actors/eventlog"
)

// Claims tests that a register keeps the promises of eventlog.Claims. open returns a handle on the same register each time.
func Claims(t *testing.T, open func(t testing.TB) eventlog.Claims) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	one, other := open(t), open(t)
	empty := newest(ctx, t, one, "")
	if _, err := one.Claim(ctx, empty+7, []byte("x")); !errors.Is(err, eventlog.ErrConflict) {
		t.Fatalf("a claim in place of one that never was: %v", err)
	}
	before := newest(ctx, t, other, "")
	first, err := one.Claim(ctx, empty, []byte("first"))
	if err != nil || first <= empty {
		t.Fatalf("the first claim has number %d: %v", first, err)
	}
	if _, err := other.Claim(ctx, before, []byte("x")); !errors.Is(err, eventlog.ErrConflict) {
		t.Fatalf("a second first claim: %v", err)
	}
	before = newest(ctx, t, other, "first")
	second, err := other.Claim(ctx, before, []byte("second"))
	if err != nil || second <= before {
		t.Fatalf("claim %d is in place of %d: %v", second, before, err)
	}
	for handle, gone := range map[eventlog.Claims]uint64{one: first, other: before} {
		if _, err := handle.Claim(ctx, gone, []byte("x")); !errors.Is(err, eventlog.ErrConflict) {
			t.Fatalf("a claim in place of one that has gone: %v", err)
		}
	}
	oneWins(ctx, t, []eventlog.Claims{one, other, open(t), open(t)})
	last := newest(ctx, t, one, "third")
	watch(ctx, t, one, last, open(t))
	ended, end := context.WithCancel(ctx)
	end()
	if _, err := one.Claim(ended, newest(ctx, t, one, "fifth"), nil); err == nil || errors.Is(err, eventlog.ErrConflict) {
		t.Errorf("a claim after its context has ended: %v", err)
	}
}

// newest returns the number of the register's claim, which should be want.
func newest(ctx context.Context, t *testing.T, of eventlog.Claims, want string) (number uint64) {
	t.Helper()
	for read := false; !read; {
		watched, end := context.WithCancel(ctx)
		err := of.Watch(watched, func(at uint64, data []byte) {
			if read {
				return
			}
			read, number = true, at
			if string(data) != want {
				t.Errorf("the newest claim is %q, want %q", data, want)
			}
			end()
		})
		end()
		if !read && ctx.Err() != nil {
			t.Fatal(err)
		}
	}
	return number
}

// oneWins: of many claims in place of one, one is taken.
func oneWins(ctx context.Context, t *testing.T, handles []eventlog.Claims) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	var expected []uint64
	for _, handle := range handles {
		expected = append(expected, newest(ctx, t, handle, "second"))
	}
	for i, handle := range handles {
		wg.Go(func() {
			_, err := handle.Claim(ctx, expected[i], []byte("third"))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else if !errors.Is(err, eventlog.ErrConflict) {
				t.Error(err)
			}
		})
	}
	if wg.Wait(); won != 1 {
		t.Errorf("%d of %d were taken", won, len(handles))
	}
}

// watch sees what one claims through another handle.
func watch(ctx context.Context, t *testing.T, one eventlog.Claims, last uint64, other eventlog.Claims) {
	type claim struct {
		number uint64
		data   string
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	saw, ended := make(chan claim), make(chan error, 1)
	go func() {
		ended <- other.Watch(ctx, func(number uint64, data []byte) {
			select {
			case saw <- claim{number, string(data)}:
			case <-ctx.Done():
			}
		})
	}()
	at := <-saw
	if at.data != "third" {
		t.Errorf("the newest claim is %q", at.data)
	}
	for _, data := range []string{"fourth", "fifth"} {
		var err error
		if last, err = one.Claim(ctx, last, []byte(data)); err != nil {
			t.Fatal(err)
		}
		for next := at; at.data != data; at = next {
			if next = <-saw; next.number < at.number || next.number == at.number && next.data != at.data {
				t.Fatalf("claim %v was seen after %v", next, at)
			}
		}
	}
	stop()
	if err := <-ended; err == nil || !slices.ContainsFunc([]error{context.Canceled, eventlog.ErrClosed}, func(end error) bool { return errors.Is(err, end) }) {
		t.Errorf("the watch ended with %v", err)
	}
}
