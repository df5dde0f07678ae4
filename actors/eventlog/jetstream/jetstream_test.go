package jetstream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
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
	s, err := Open(t.Context(), cfg)
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

// A store hears of another's message while it writes nothing itself; one that the stream has refused is none.
func TestStore_Followed_Heard(t *testing.T) {
	t.Parallel()
	cfg := Config{URL: natstest.Start(t, 1).URL(), Radio: radio()}
	first, late, next := open(t, cfg), open(t, cfg), open(t, cfg)
	rows := storetest.Rows(eventlog.Mark{}, 3)
	if err := first.Append(0, rows[:1]); err != nil {
		t.Fatal(err)
	}
	followed := make(chan error, 1)
	go func() { followed <- first.Followed() }()
	if err := late.Append(0, rows[:1]); !errors.Is(err, eventlog.ErrConflict) {
		t.Fatal(err)
	}
	if err := first.Append(1, rows[1:2]); err != nil {
		t.Errorf("after one that was refused: %v", err)
	}
	for again := time.NewTicker(10 * time.Millisecond); ; <-again.C { // the first one may listen only now
		_, last, err := next.Marks()
		if err == nil {
			err = next.Append(last.Seq, storetest.Rows(last, 1))
		}
		if err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-followed:
			if !errors.Is(err, eventlog.ErrConflict) {
				t.Error(err)
			}
			return
		default:
		}
	}
}

// serve lets talk speak on each connection, in a goroutine of its own, until the test ends, and returns the URL.
func serve(t *testing.T, talk func(net.Conn)) (url string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	t.Cleanup(served.Wait)
	t.Cleanup(func() { _ = l.Close() })
	served.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			served.Go(func() {
				defer conn.Close()
				talk(conn)
			})
		}
	})
	return "nats://" + l.Addr().String()
}

// mute lets in whoever speaks NATS, or not even that, and answers nothing. It calls asked at each question.
func mute(t *testing.T, letsIn bool, asked func()) (url string) {
	return serve(t, func(conn net.Conn) {
		if !letsIn {
			asked()
		} else if _, err := io.WriteString(conn, "INFO {\"headers\":true,\"max_payload\":1048576}\r\n"); err != nil {
			return
		}
		for lines := bufio.NewScanner(conn); lines.Scan(); {
			switch word, _, _ := strings.Cut(lines.Text(), " "); word {
			case "PING":
				_, _ = io.WriteString(conn, "PONG\r\n")
			case "PUB", "HPUB":
				asked()
			}
		}
	})
}

// Whoever does not want to wait for NATS any more need not.
func TestOpen_Stopped(t *testing.T) {
	t.Parallel()
	for _, letsIn := range []bool{false, true} {
		ctx, stop := context.WithCancel(t.Context())
		cfg := Config{URL: mute(t, letsIn, stop), Radio: radio()}
		if _, err := Open(ctx, cfg); !errors.Is(err, context.Canceled) {
			t.Errorf("if it lets in: %v: %v", letsIn, err)
		}
		stop()
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

// The three registers are on three servers, if there are so many, and each has a connection to its own.
func TestClaims(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 3} {
		servers := natstest.Start(t, n)
		cfg := Config{URL: servers.Servers[0].URL, Radio: radio()} // it tells where the others are
		at := map[string]bool{}
		for i := range registers {
			var all []*claims
			storetest.Claims(t, func(t testing.TB) eventlog.Claims {
				c := open(t, cfg).Claims()[i].(*claims)
				c.line.every = pause
				all = append(all, c)
				return c
			})
			if n == 1 {
				continue
			}
			home := servers.Leader(fmt.Sprintf("CONGA_%s_LEAD_%d", cfg.Radio, i+1)).Name
			at[home] = true
			for _, c := range all {
				goesHome(t, c, home, func(string) {})
			}
		}
		if n > 1 && len(at) != n {
			t.Errorf("the registers are on %d of %d servers", len(at), n)
		}
	}
}

// goesHome watches the register until it is asked at that server, which it has to be. meanwhile is called while it is asked through
// another one.
func goesHome(t *testing.T, c *claims, server string, meanwhile func(through string)) {
	t.Helper()
	ctx, end := context.WithTimeout(t.Context(), time.Minute)
	defer end()
	there := false
	for !there {
		err := c.Watch(ctx, func(uint64, []byte) {
			on, home := c.line.now()
			if there = there || on.to(home) && home == server; there {
				end()
			} else {
				meanwhile(on.conn.ConnectedServerName())
			}
		})
		if on, home := c.line.now(); !there && ctx.Err() != nil {
			t.Fatalf("the register at %s, which is to be at %s, is asked through %s: %v", home, server, on.conn.ConnectedServerName(), err)
		}
	}
}

// gate is a way to a server that can be shut.
type gate struct{ open atomic.Bool }

// through opens a gate to the server and returns its URL.
func (g *gate) through(t *testing.T, url string) string {
	return serve(t, func(from net.Conn) {
		if !g.open.Load() {
			return
		}
		to, err := net.Dial("tcp", strings.TrimPrefix(url, "nats://"))
		if err != nil {
			t.Error(err)
			return
		}
		defer to.Close()
		var back sync.WaitGroup
		back.Go(func() {
			_, _ = io.Copy(from, to)
			_ = from.Close()
		})
		_, _ = io.Copy(to, from)
		_ = to.Close()
		back.Wait()
	})
}

// A register whose server cannot be reached is asked through another one, until it can.
func TestClaims_Through(t *testing.T) {
	t.Parallel()
	servers := natstest.Start(t, 3)
	way := &gate{}
	near, far := servers.Servers[0], servers.Servers[registers-1]
	cfg := Config{URL: near.URL + "," + way.through(t, far.URL), Radio: radio()}
	handle := func() *claims {
		s := open(t, cfg)
		s.conn.Close()
		var err error
		if s.conn, err = nats.Connect(near.URL, nats.IgnoreDiscoveredServers()); err != nil { // so it hears of no other way
			t.Fatal(err)
		}
		c := s.Claims()[registers-1].(*claims)
		c.line.every = pause
		return c
	}
	var handles []*claims
	storetest.Claims(t, func(testing.TB) eventlog.Claims {
		handles = append(handles, handle())
		return handles[len(handles)-1]
	})
	before := ""
	goesHome(t, handles[0], far.Name, func(through string) {
		before = through
		way.open.Store(true)
	})
	if before != near.Name {
		t.Errorf("before that it was asked through %q", before)
	}
}
