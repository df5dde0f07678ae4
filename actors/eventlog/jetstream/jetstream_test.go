package jetstream

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"conga/actors/eventlog"
	"conga/actors/eventlog/natstest"
	"conga/actors/eventlog/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var radios atomic.Int64

// radio is a name that no other test has.
func radio() string { return fmt.Sprintf("test-%d", radios.Add(1)) }

func open(t testing.TB, cfg Config) *Store {
	t.Helper()
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// The store itself, and a Steady above it.
func TestContract(t *testing.T) {
	t.Parallel()
	servers := natstest.Start(t, 3)
	for name, above := range map[string]func(*Store) (eventlog.Store, error){
		"jetstream": func(s *Store) (eventlog.Store, error) { return s, nil },
		"steady": func(s *Store) (eventlog.Store, error) {
			return eventlog.OpenSteady(s, eventlog.SteadyConfig{Tell: func(eventlog.DiskState, error) {}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Contract(t, func(t testing.TB) (eventlog.Store, func() eventlog.Store) {
				cfg := Config{URL: servers.URL(), Radio: radio()}
				again := func() eventlog.Store {
					s := open(t, cfg)
					if s.Replicas() != 3 {
						t.Errorf("%d servers keep it", s.Replicas())
					}
					store, err := above(s)
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { _ = store.Close() })
					return store
				}
				return again(), again
			})
		})
	}
}

// A writer that another has followed can write no more, whatever it reads.
func TestStore_Followed(t *testing.T) {
	t.Parallel()
	cfg := Config{URL: natstest.Start(t, 1).URL(), Radio: radio()}
	old, next := open(t, cfg), open(t, cfg)
	rows := storetest.Rows(eventlog.Mark{}, 6)
	if err := old.Append(0, rows[:2]); err != nil {
		t.Fatal(err)
	}
	if err := next.Append(0, rows[:2]); !errors.Is(err, eventlog.ErrConflict) {
		t.Errorf("an append to what was never read: %v", err)
	}
	if _, last, err := next.Marks(); err != nil || last.Seq != 2 {
		t.Fatalf("the other reads %v, %v", last, err)
	}
	if err := next.Append(2, rows[2:4]); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := old.Append(2, rows[2:4]); !errors.Is(err, eventlog.ErrConflict) {
			t.Errorf("the first writes on: %v", err)
		}
	}
	if _, last, err := old.Marks(); err != nil || last.Seq != 4 {
		t.Errorf("the first reads %v, %v", last, err)
	}
	for name, err := range map[string]error{
		"append": old.Append(4, rows[4:]), "keep": old.Keep("snapshot", nil), "drop": old.Drop(rows[1].Mark(), nil),
	} {
		if !errors.Is(err, eventlog.ErrConflict) {
			t.Errorf("%s of the first: %v", name, err)
		}
	}
	if got, err := old.Read(0, 9, eventlog.Whole); err != nil || len(got) != 4 {
		t.Errorf("the first reads %d rows, %v", len(got), err)
	}
	if err := next.Append(4, rows[4:]); err != nil {
		t.Errorf("the second: %v", err)
	}
}

// answerless has published a message, but no answer comes any more.
type answerless struct {
	jetstream.JetStream
	published bool
}

func (a *answerless) PublishMsg(ctx context.Context, m *nats.Msg, options ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	if !a.published {
		a.published = true
		if _, err := a.JetStream.PublishMsg(ctx, m, options...); err != nil {
			return nil, err
		}
	}
	return nil, nats.ErrTimeout
}

// lastless does not say which message is a subject's last.
type lastless struct{ jetstream.Stream }

func (lastless) GetLastMsgForSubject(context.Context, string) (*jetstream.RawStreamMsg, error) {
	return nil, nats.ErrTimeout
}

// The answer to an append is lost, and then that to the question how far the log is. Nothing is appended before that is known.
func TestStore_Unsure_Unasked(t *testing.T) {
	t.Parallel()
	cfg := Config{URL: natstest.Start(t, 1).URL(), Radio: radio()}
	s := open(t, cfg)
	s.try, s.tries = 50*time.Millisecond, 150*time.Millisecond
	js, stream := s.js, s.stream
	rows := storetest.Rows(eventlog.Mark{}, 2)
	s.js = &answerless{JetStream: js}
	if err := s.Append(0, rows); err == nil {
		t.Fatal("an append without an answer was acknowledged")
	}
	s.js, s.stream = js, lastless{stream}
	if _, last, err := s.Marks(); err == nil {
		t.Fatalf("nobody has said that the log is at %d", last.Seq)
	}
	s.stream = stream
	if err := s.Append(0, rows); !errors.Is(err, eventlog.ErrConflict) {
		t.Errorf("the same events once more: %v", err)
	}
	if got, err := s.Read(0, 9, eventlog.Whole); err != nil || len(got) != 2 {
		t.Errorf("the log has %d rows, %v", len(got), err)
	}
}

// A store on another's connection needs no server that lets it in, and leaves the connection open.
func TestStore_On(t *testing.T) {
	t.Parallel()
	cfg := Config{URL: natstest.Start(t, 1).URL(), Radio: radio()}
	first := open(t, cfg)
	rows := storetest.Rows(eventlog.Mark{}, 2)
	second := open(t, Config{URL: "nats://127.0.0.1:1", Radio: cfg.Radio, On: first})
	if err := second.Append(0, rows[:1]); err != nil {
		t.Fatal(err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	if err := second.Append(1, rows[1:]); err == nil {
		t.Error("a closed store writes")
	}
	if _, last, err := first.Marks(); err != nil || last.Seq != 1 {
		t.Errorf("the first one reads %v, %v", last, err)
	}
}

// The three registers are on three servers, if there are so many.
func TestClaims(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 3} {
		servers := natstest.Start(t, n)
		cfg := Config{URL: servers.URL(), Radio: radio()}
		at := map[string]bool{}
		for i := range registers {
			storetest.Claims(t, func(t testing.TB) eventlog.Claims { return open(t, cfg).Claims()[i] })
			if n > 1 {
				at[servers.Leader(fmt.Sprintf("CONGA_%s_LEAD_%d", cfg.Radio, i+1)).Name] = true
			}
		}
		if n > 1 && len(at) != n {
			t.Errorf("the registers are on %d of %d servers", len(at), n)
		}
	}
}
