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
	if _, err := one.Claim(ctx, 7, []byte("x")); !errors.Is(err, eventlog.ErrConflict) {
		t.Fatalf("a claim in place of one that never was: %v", err)
	}
	first, err := one.Claim(ctx, 0, []byte("first"))
	if err != nil || first == 0 {
		t.Fatalf("the first claim has number %d: %v", first, err)
	}
	if _, err := other.Claim(ctx, 0, []byte("x")); !errors.Is(err, eventlog.ErrConflict) {
		t.Fatalf("a second first claim: %v", err)
	}
	second, err := other.Claim(ctx, first, []byte("second"))
	if err != nil || second <= first {
		t.Fatalf("claim %d is in place of %d: %v", second, first, err)
	}
	for _, handle := range []eventlog.Claims{one, other} {
		if _, err := handle.Claim(ctx, first, []byte("x")); !errors.Is(err, eventlog.ErrConflict) {
			t.Fatalf("a claim in place of one that has gone: %v", err)
		}
	}
	oneWins(ctx, t, second, []eventlog.Claims{one, other, open(t), open(t)})
	watch(ctx, t, one, open(t))
	ended, end := context.WithCancel(ctx)
	end()
	if _, err := one.Claim(ended, second, nil); err == nil || errors.Is(err, eventlog.ErrConflict) {
		t.Errorf("a claim after its context has ended: %v", err)
	}
}

// oneWins: of many claims in place of one, one is taken.
func oneWins(ctx context.Context, t *testing.T, expected uint64, handles []eventlog.Claims) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for _, handle := range handles {
		wg.Go(func() {
			_, err := handle.Claim(ctx, expected, []byte("third"))
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
func watch(ctx context.Context, t *testing.T, one, other eventlog.Claims) {
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
	newest := <-saw
	if newest.data != "third" {
		t.Errorf("the newest claim is %q", newest.data)
	}
	for _, data := range []string{"fourth", "fifth"} {
		number, err := one.Claim(ctx, newest.number, []byte(data))
		if err != nil {
			t.Fatal(err)
		}
		for newest.number < number {
			next := <-saw
			if next.number <= newest.number {
				t.Fatalf("claim %d was seen after %d", next.number, newest.number)
			}
			newest = next
		}
		if newest != (claim{number, data}) {
			t.Errorf("saw %v, want %d %s", newest, number, data)
		}
	}
	stop()
	if err := <-ended; err == nil || !slices.ContainsFunc([]error{context.Canceled, eventlog.ErrClosed}, func(end error) bool { return errors.Is(err, end) }) {
		t.Errorf("the watch ended with %v", err)
	}
}
