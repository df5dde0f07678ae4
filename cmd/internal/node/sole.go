package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"conga/actors/eventlog"
	"conga/actors/eventlog/jetstream"
	"conga/actors/lease"
)

const (
	// soleLease is for how long a server that is the only one of its radio claims that at a time. Another waits as long after a
	// crash.
	soleLease = time.Second
	// solePatience is how long NATS may take to say whether another claims it, too.
	solePatience = 15 * time.Second
)

// Served is the error if another server serves the radio.
type Served struct{ Radio, At string }

// Error says what to do.
func (s Served) Error() string {
	return fmt.Sprintf("another server of the radio %s is running, at %s: stop it first, or start both with --servers %s,THIS:PORT, so that this one stands by for it; --take-over takes the log from it, and ends it",
		s.Radio, s.At, s.At)
}

var errUnseen = fmt.Errorf("NATS does not say within %v whether another server of the radio is running: try again, or add --take-over", solePatience)

// OpenSole is OpenShared for a server that is the only one of its radio, which it claims beside the log from now on. The right
// to give out music does not depend on it: while NATS is away, the music plays on. If another claims it, too, the error is a
// Served, unless takes is true. requests is this server's request port. lost is called once, as soon as another has taken the log.
func OpenSole(ctx context.Context, log jetstream.Config, dir, songs, requests string, takes bool, lost func(error), logger *slog.Logger) (Data, error) {
	beside, err := jetstream.Open(ctx, log)
	if err != nil {
		return Data{}, err
	}
	claim := lease.Start(lease.Config{
		Claims: beside.Claims(), Length: soleLease, Requests: requests,
		Now: func() int64 { return time.Now().UnixMicro() }, Logger: slog.New(slog.DiscardHandler), // that NATS is away, the log says
	})
	end := sync.OnceValue(func() error {
		within, cancel := context.WithTimeout(context.Background(), releases)
		defer cancel()
		claim.Release(within)
		claim.Close()
		return beside.Close()
	})
	if !takes {
		err = alone(ctx, claim, log.Radio)
	}
	if err != nil {
		return Data{}, errors.Join(err, end())
	}
	var told sync.Once
	tell := func(why error) { told.Do(func() { lost(why) }) }
	data, err := OpenShared(ctx, log, dir, songs, func(store *jetstream.Store) eventlog.Store {
		go func() { // until the store is closed
			if err := store.Followed(); errors.Is(err, eventlog.ErrConflict) {
				tell(err)
			}
		}()
		return claimed{store, end}
	}, tell, logger)
	if err != nil {
		return Data{}, errors.Join(err, end())
	}
	return data, nil
}

// alone waits until it is clear whether another server serves the radio.
func alone(ctx context.Context, claim *lease.Lease, radio string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, solePatience, errUnseen)
	defer cancel()
	other, err := claim.Alone(ctx)
	if other != nil {
		return Served{radio, other.GetRequests()}
	}
	return err
}

// claimed is a log whose server claims to be the only one until it is closed.
type claimed struct {
	eventlog.Store
	end func() error
}

// Close also lets others serve the radio.
func (c claimed) Close() error { return errors.Join(c.Store.Close(), c.end()) }
