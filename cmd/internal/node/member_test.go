package node

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"conga/actors/eventlog"
	"conga/actors/eventlog/storetest"
	"conga/cmd/internal/keys"
)

// membersOf returns what starts a server of a radio: with that log, the others' registers, and a channel that is closed when it
// leads.
func membersOf(t *testing.T, claims []eventlog.Claims, read func() (eventlog.Store, error)) (start func(ctx context.Context) error, leads chan struct{}) {
	leads = make(chan struct{})
	var once sync.Once
	o := MemberOptions{
		ServerOptions: ServerOptions{Songs: t.TempDir(), Listen: "127.0.0.1:0", Data: Data{Key: keys.New()}, Logger: slog.New(slog.DiscardHandler)},
		Read:          read, Claims: claims, Lease: leastLease,
		Write: func(fence func(eventlog.Store) eventlog.Store, _ func(error)) (Data, error) {
			return Data{Store: fence(eventlog.NewMemory()), Key: keys.New()}, nil
		},
		Led: func(context.Context, *Server) { once.Do(func() { close(leads) }) },
	}
	return func(ctx context.Context) error { return Member(ctx, o) }, leads
}

// A server that cannot even follow, for instance because it cannot read the log, leaves the lead to another.
func TestMember_CannotFollow(t *testing.T) {
	t.Parallel() // it waits
	claims := []eventlog.Claims{eventlog.NewClaims()}
	tried := make(chan struct{}, 100)
	lame, _ := membersOf(t, claims, func() (eventlog.Store, error) {
		tried <- struct{}{}
		return nil, errors.New("the log cannot be read")
	})
	sound, leads := membersOf(t, claims, func() (eventlog.Store, error) { return eventlog.NewMemory(), nil })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() { ended <- lame(ctx) }()
	<-tried
	<-tried // it has had the time to take the lead
	go func() { ended <- sound(ctx) }()
	select {
	case <-leads:
	case <-time.After(20 * time.Second):
		t.Error("nobody leads")
	}
	cancel()
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// hangs is a log that answers once, and then not until it is closed.
type hangs struct {
	eventlog.Store
	asked  chan struct{}
	closed chan struct{}
	once   sync.Once
	calls  int
}

func (h *hangs) Marks() (base, last eventlog.Mark, err error) {
	if h.calls++; h.calls > 1 {
		h.asked <- struct{}{}
		<-h.closed
		return base, last, eventlog.ErrClosed
	}
	return h.Store.Marks()
}

func (h *hangs) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

// A server that follows a log that does not answer ends as soon as it is told to.
func TestMember_EndsWhileTheLogHangs(t *testing.T) {
	t.Parallel() // it waits
	h := &hangs{Store: eventlog.NewMemory(), asked: make(chan struct{}, 1), closed: make(chan struct{})}
	start, _ := membersOf(t, []eventlog.Claims{eventlog.NewClaims()}, func() (eventlog.Store, error) { return h, nil })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- start(ctx) }()
	<-h.asked
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("it does not end")
	}
}

// However long the evening was, a standby that takes over reads of the log only what it has not followed.
func TestMember_LeadsAfterALongEvening(t *testing.T) {
	t.Parallel() // it waits
	const evening = 3000
	store := &storetest.Counted{Store: eventlog.NewMemory()}
	storetest.Fill(t, storetest.Open(t, store.Store), evening)
	ctx, cancel := context.WithCancel(t.Context())
	leads := make(chan struct{})
	o := MemberOptions{
		ServerOptions: ServerOptions{Songs: t.TempDir(), Listen: "127.0.0.1:0", Data: Data{Key: keys.New()}, Logger: slog.New(slog.DiscardHandler)},
		Read:          func() (eventlog.Store, error) { return unclosed{store.Store}, nil },
		Claims:        []eventlog.Claims{eventlog.NewClaims()}, Lease: leastLease,
		Write: func(fence func(eventlog.Store) eventlog.Store, _ func(error)) (Data, error) {
			return Data{Store: fence(store), Key: keys.New()}, nil
		},
		Led: func(context.Context, *Server) { close(leads) },
	}
	ended := make(chan error, 1)
	go func() { ended <- Member(ctx, o) }()
	select {
	case <-leads:
	case err := <-ended:
		t.Fatal(err)
	}
	if rows := store.Rows.Load(); rows > 100 {
		t.Errorf("it has read %d rows of %d that it knew", rows, evening)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// unclosed is one of several handles of a log.
type unclosed struct{ eventlog.Store }

func (unclosed) Close() error { return nil }
