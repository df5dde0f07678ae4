package lease

import (
	"context"
	"flag"
	"log/slog"
	"sync"
	"testing"
	"time"

	"conga/actors/eventlog"
	"conga/actors/eventlog/jetstream"
	"conga/actors/eventlog/natstest"
)

var (
	natsLength = flag.Duration("nats.length", 2*time.Second, "of the lease in TestLease_ServersKilled: NATS needs longer to choose a leader")
	natsRounds = flag.Int("nats.rounds", 1, "how often it kills each server of NATS")
)

// shared opens the registers with a connection of their own.
func shared(t *testing.T, cfg jetstream.Config) []eventlog.Claims {
	store, err := jetstream.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store.Claims()
}

// renewed waits until a register has taken n more claims.
func renewed(t *testing.T, register eventlog.Claims, n uint64) {
	ctx, end := context.WithTimeout(t.Context(), time.Minute)
	defer end()
	first := uint64(0)
	for done := false; !done; {
		err := register.Watch(ctx, func(number uint64, data []byte) {
			if first == 0 {
				first = number
			}
			if done = len(data) > 0 && number >= first+n; done {
				end()
			}
		})
		if t.Context().Err() != nil || !done && ctx.Err() != nil {
			t.Fatal("a register is not renewed: ", err)
		}
	}
}

// Each server of NATS is killed in turn, while a leader and a standby run; one comes back without its data. The leader leads on all
// the time.
func TestLease_ServersKilled(t *testing.T) {
	nats := natstest.Start(t, 3)
	cfg := jetstream.Config{URL: nats.URL(), Radio: "house"}
	start := func(requests string) *Lease {
		l := Start(Config{Claims: shared(t, cfg), Length: *natsLength, Requests: requests, Now: func() int64 { return time.Now().UnixMicro() }, Logger: slog.New(slog.DiscardHandler)})
		t.Cleanup(l.Close)
		return l
	}
	one := start("one:7000")
	until(one, leads)
	other := start("other:7000")
	until(other, func(at Standing) bool { return at.Leader.GetRequests() == "one:7000" })
	first, _ := one.Standing()
	registers := shared(t, cfg)
	for _, r := range registers {
		renewed(t, r, 1)
	}

	least := *natsLength
	ctx, stop := context.WithCancel(t.Context())
	var watched sync.WaitGroup
	watched.Go(func() {
		for look := time.NewTicker(time.Millisecond); ctx.Err() == nil; <-look.C {
			at, _ := one.Standing()
			least = min(least, at.Until.Steady-one.moment().Steady)
			if !one.LeadsIn(first.Term) || other.Leads() {
				t.Errorf("the first one leads: %v, the other: %v; %q", one.Leads(), other.Leads(), at.Reason)
				return
			}
		}
	})
	for range *natsRounds {
		for i, server := range nats.Servers {
			server.Kill()
			renewed(t, registers[(i+1)%3], 7) // longer than any right that was left
			if i == 1 {
				server.Empty()
			}
			server.Start()
			for _, r := range registers {
				renewed(t, r, 2)
			}
		}
	}
	stop()
	watched.Wait()
	t.Logf("of %v at least %v were left", *natsLength, least.Round(time.Millisecond))
}
