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
	"conga/messages"

	"google.golang.org/protobuf/proto"
)

var (
	natsLength = flag.Duration("nats.length", 2*time.Second, "of the lease in TestLease_ServersKilled: NATS needs longer to choose a leader")
	natsRounds = flag.Int("nats.rounds", 1, "how often it kills each server of NATS")
)

// shared opens the registers with connections of their own.
func shared(t *testing.T, cfg jetstream.Config) []eventlog.Claims {
	store, err := jetstream.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store.Claims()
}

// watch watches a register until enough says that this claim is, or fails the test.
func watch(t *testing.T, register eventlog.Claims, enough func(ctx context.Context, number uint64, data []byte) bool) {
	ctx, end := context.WithTimeout(t.Context(), time.Minute)
	defer end()
	for done := false; !done; {
		err := register.Watch(ctx, func(number uint64, data []byte) {
			if done = done || enough(ctx, number, data); done {
				end()
			}
		})
		if !done && ctx.Err() != nil {
			t.Error("a register is not renewed: ", err)
			return
		}
	}
}

// renewed waits until a register has taken n more claims.
func renewed(t *testing.T, register eventlog.Claims, n uint64) {
	first := uint64(0)
	watch(t, register, func(_ context.Context, number uint64, data []byte) bool {
		if first == 0 {
			first = number
		}
		return len(data) > 0 && number >= first+n
	})
}

// used puts a claim into an empty register that somebody has given back. Otherwise it would be nobody's for as long as any lease.
func used(t *testing.T, register eventlog.Claims) {
	released, err := proto.Marshal(&messages.LeaseClaim{Holder: "before", Released: true})
	if err != nil {
		t.Fatal(err)
	}
	watch(t, register, func(ctx context.Context, number uint64, data []byte) bool {
		if len(data) == 0 {
			_, _ = register.Claim(ctx, number, released) // if it was not taken, it is shown empty again
		}
		return len(data) > 0
	})
}

// whileItLeads runs a leader and a standby on three servers of NATS, and fails the test unless the first one leads all the time
// while harm befalls each of these in turn. harm is told the server, the register that it has, and one that it has not.
func whileItLeads(t *testing.T, harm func(i int, server *natstest.Server, its, other eventlog.Claims)) {
	nats := natstest.Start(t, 3)
	cfg := jetstream.Config{URL: nats.URL(), Radio: "house"}
	registers := shared(t, cfg)
	all := func(do func(register eventlog.Claims)) {
		var wg sync.WaitGroup
		for _, r := range registers {
			wg.Go(func() { do(r) })
		}
		wg.Wait()
	}
	all(func(r eventlog.Claims) { used(t, r) })
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
			all(func(r eventlog.Claims) { renewed(t, r, 2) })
			harm(i, server, registers[i], registers[(i+1)%len(registers)])
		}
	}
	stop()
	watched.Wait()
	t.Logf("of %v at least %v were left", *natsLength, least.Round(time.Millisecond))
}

// lasts is for how many claims in another register a server of NATS is away: longer than any right that was left.
const lasts = renewals + 1

// Each server of NATS is killed in turn, while a leader and a standby run; the last one comes back without its data. The leader leads
// on all the time.
func TestLease_ServersKilled(t *testing.T) {
	t.Parallel()
	whileItLeads(t, func(i int, server *natstest.Server, its, other eventlog.Claims) {
		server.Kill()
		renewed(t, other, lasts)
		last := i == 2
		if last {
			server.Empty()
		}
		server.Start()
		if last {
			watch(t, its, func(_ context.Context, _ uint64, data []byte) bool { return len(data) > 0 })
		}
	})
}
