package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"conga/actors"
	"conga/actors/eventlog"
	"conga/actors/lease"
	"conga/actors/lease/right"
	"conga/cmd/internal/address"
	"conga/cmd/internal/songstore"
	"conga/messages"
	"conga/transport"
)

const (
	// followEvery is how often a standby looks for new events.
	followEvery = 100 * time.Millisecond
	// takesOver is how much of the slack a takeover needs beside the lease: the new leader starts, its first listener finds it, and
	// the loudspeakers keep their reserve.
	takesOver = time.Second
	// leastLease is less than what registers over a network and a disk renew surely.
	leastLease = 400 * time.Millisecond
	// releases is how long a server that stops may take to tell the others.
	releases = time.Second
	// again is the wait after a start that failed.
	again = time.Second
)

// No lease is longer than its servers obey.
const _ = uint(right.Most - (messages.MaxSlack - takesOver))

// LeaseFor returns the length of a lease with which a standby takes over before anybody hears silence, if music is sent that long
// before it is heard.
func LeaseFor(slack time.Duration) (time.Duration, error) {
	if slack-takesOver < leastLease {
		return 0, fmt.Errorf("with --slack %v a standby could not take over in time: it needs at least %v", slack, leastLease+takesOver)
	}
	return slack - takesOver, nil
}

// MemberOptions configure one of the servers of a radio. Of the ServerOptions, Data needs only the key.
type MemberOptions struct {
	ServerOptions
	// Read opens the radio's log, which other servers write, for reading.
	Read func() (eventlog.Store, error)
	// Write opens it and what else is kept, anew for each leadership. fence must be around the store itself, and lost is told that
	// another server has written.
	Write  func(fence func(eventlog.Store) eventlog.Store, lost func(error)) (Data, error)
	Claims []eventlog.Claims // the registers of who leads, the same for all servers
	Lease  time.Duration
	// Dir is this server's data folder; empty: sums of songs are not kept.
	Dir     string
	Sharing Sharing
	// Led is called when this server has begun to lead, and Followed when it has begun to follow: it has the leader's log and
	// clock, or there is no leader. What they start must end when ctx does. Both may be nil.
	Led      func(ctx context.Context, server *Server)
	Followed func(ctx context.Context, standby *Standby)
}

// Standby is a server that follows the one that leads.
type Standby struct {
	Log *eventlog.Log
	// Requests and Stream are its ports when it leads.
	Requests, Stream net.Addr
	Standing         func() lease.Standing
	holder           *songstore.Holder
	follower         *actors.Follower
	dump             chan chan<- actors.Dump
}

// Member runs one of the servers of a radio until ctx ends: it follows, and leads when nobody else does. The error says that it
// could not be started.
func Member(ctx context.Context, o MemberOptions) error {
	requests, stream, err := o.listen()
	if err != nil {
		return err
	}
	o.Listen = requests.Addr().String() // the same in each role
	if err := errors.Join(requests.Close(), stream.Close()); err != nil {
		return err
	}
	m := &member{MemberOptions: o, requests: requests.Addr(), stream: stream.Addr()}
	m.Standing = func() lease.Standing { at, _ := m.lease.Standing(); return at }
	m.Stocked = func() (songstore.Live, bool) { return m.holder.Live() }
	clock := o.Now
	if clock == nil {
		clock = steadyClock()
	}
	m.Now = func() time.Time { return clock().Add(time.Duration(m.shift.Load()) * time.Microsecond) }
	self := cmp.Or(address.Own(o.Servers, requests.Addr()), address.Outward(requests.Addr())[0]) // others are sent there
	m.lease = lease.Start(lease.Config{
		Claims: o.Claims, Length: o.Lease, Requests: self, Now: func() int64 { return m.Now().UnixMicro() }, Logger: o.Logger,
	})
	defer m.lease.Close()
	defer m.hold(ctx)()
	for {
		term, snapshot, err := m.follow(ctx)
		if err == nil && ctx.Err() == nil {
			err = m.lead(ctx, term, snapshot)
		}
		if err != nil {
			m.lease.Fall() // so that another server leads meanwhile
			o.Logger.Error("this server can neither lead nor follow, and tries again", "reason", err)
			select {
			case <-time.After(again):
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			ends, cancel := context.WithTimeout(context.WithoutCancel(ctx), releases)
			defer cancel()
			m.lease.Release(ends)
			return nil
		}
	}
}

type member struct {
	MemberOptions
	lease            *lease.Lease
	requests, stream net.Addr
	shift            atomic.Int64 // of the clock, in microseconds
	holder           *songstore.Holder
	store            songstore.Store // nil: songs are not shared
	shares           sync.WaitGroup  // nobody but the end waits for them, because a disk may hang
}

// says is what a standby tells people.
func (m *member) says() string {
	at, _ := m.lease.Standing()
	if leader := at.Leader.GetRequests(); leader != "" && at.Term == 0 {
		if songs, known := m.holder.Live(); known && songs.Lacks > 0 {
			return "This server stands by, and " + songs.Says() + ": " + leader + " leads."
		}
		return "This server stands by: " + leader + " leads."
	}
	return "No server of this radio leads at this moment: try again."
}

// follow keeps up with the log until this server leads, and returns the term and what the log's new handle need not read.
func (m *member) follow(ctx context.Context) (term uint64, snapshot []byte, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	log, err := m.open(ctx)
	if err != nil {
		return 0, nil, err
	}
	defer log.Close()
	port, err := m.stand()
	if err != nil {
		return 0, nil, err
	}
	defer port()
	f := actors.NewFollower(log)
	s := &Standby{Log: log, Requests: m.requests, Stream: m.stream, follower: f, holder: m.holder, dump: make(chan chan<- actors.Dump), Standing: m.Standing}
	began, told := time.Now(), m.Followed == nil
	next := time.NewTicker(followEvery)
	defer next.Stop()
	failed, leader := "", ""
	for {
		if err := f.CatchUp(); ctx.Err() != nil {
			return 0, nil, nil
		} else if err != nil && err.Error() != failed {
			failed = err.Error()
			m.Logger.Warn("the log of the radio cannot be followed", "reason", err)
		} else if err == nil {
			failed = ""
			state, _ := f.State()
			m.holder.Follow(songstore.Radio{Library: state.Catalog, First: soon(state)})
		}
		at, changed := m.lease.Standing()
		if at.Term > 0 {
			snapshot, err = f.Snapshot()
			if err != nil {
				m.Logger.Warn("the log is read from its beginning", "reason", err)
			}
			return at.Term, snapshot, nil
		}
		if !told && failed == "" && (m.lease.Timed() || time.Since(began) > m.Lease) {
			told = true
			m.Followed(ctx, s)
		}
		if now := at.Leader.GetRequests(); now != leader {
			leader = now
			m.Logger.Info("this server stands by", "leads", leader)
		}
		select {
		case reply := <-s.dump:
			reply <- s.look()
		case <-changed:
		case <-next.C:
		case <-ctx.Done():
			return 0, nil, nil
		}
	}
}

// open opens the log for reading. It is closed when ctx ends, because a log that does not answer must not hold up the end.
func (m *member) open(ctx context.Context) (*eventlog.Log, error) {
	store, err := m.Read()
	if err != nil {
		return nil, err
	}
	log, err := eventlog.Open(store, time.Now)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	context.AfterFunc(ctx, func() { _ = store.Close() })
	return log, nil
}

// stand opens the request port, at which it only tells who leads. The stream port stays closed, so that listeners find at once
// the one that is open. The caller calls end.
func (m *member) stand() (end func(), err error) {
	auth, secure, err := m.access()
	if err != nil {
		return nil, err
	}
	listener, err := m.bind(m.Listen)
	if err != nil {
		return nil, err
	}
	system := NewSystem(m.Logger)
	props := transport.Requests(transport.RequestsConfig{
		Listener: listener, Auth: auth, TLS: secure, Limits: m.Limits, Servers: m.Servers, Standby: m.says, Now: m.Now, Web: http.HandlerFunc(m.redirect),
	})
	pid, err := system.Root.SpawnNamed(props, "standby")
	if err != nil {
		system.Shutdown()
		return nil, errors.Join(err, listener.Close())
	}
	return func() {
		_ = system.Root.StopFuture(pid).Wait()
		system.Shutdown()
	}, nil
}

func (m *member) bind(addr string) (net.Listener, error) {
	if m.Bind != nil {
		return m.Bind(addr)
	}
	return net.Listen("tcp", addr)
}

// redirect leads browsers to the server that leads.
func (m *member) redirect(w http.ResponseWriter, r *http.Request) {
	at, _ := m.lease.Standing()
	if leader := at.Leader.GetRequests(); leader != "" && at.Term == 0 && r.Method == http.MethodGet {
		if host, _, err := net.SplitHostPort(leader); err == nil && host != "" && host != "::" && host != "0.0.0.0" {
			scheme := "http"
			if visit := transport.VisitOf(r.Context()); visit != nil && visit.Secure() {
				scheme = "https"
			}
			if songs, known := m.holder.Live(); known && songs.Lacks > 0 {
				w.Header().Set(LacksHeader, songs.Says())
			} else if known {
				w.Header().Set(HasHeader, songs.Says())
			}
			http.Redirect(w, r, scheme+"://"+leader+r.URL.RequestURI(), http.StatusTemporaryRedirect)
			return
		}
	}
	w.Header().Set("Retry-After", "1")
	http.Error(w, m.says(), http.StatusServiceUnavailable)
}

// lead runs the server for one term. An error says that it could not be started.
func (m *member) lead(ctx context.Context, term uint64, snapshot []byte) error {
	leads := func() bool { return m.lease.LeadsIn(term) }
	data, err := m.Write(func(store eventlog.Store) eventlog.Store {
		return eventlog.Fence(store, leads, m.lease.Fall)
	}, func(error) { m.lease.Fall() })
	if err != nil {
		return err
	}
	m.shift.Add(m.lease.TakeAhead()) // the broadcast's clock goes on
	o := m.ServerOptions
	o.Data, o.known, o.Leads, o.Elsewhere = data, snapshot, leads, m.holder.Lead(ctx, songsPatience)
	server, err := StartServer(o)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	m.shares.Go(func() { m.share(ctx, server, o.Elsewhere) })
	if m.Led != nil {
		m.Led(ctx, server)
	}
	for {
		at, changed := m.lease.Standing()
		if at.Term != term {
			m.Logger.Warn("this server leads no longer", "reason", at.Reason)
			break
		}
		select {
		case <-changed:
			continue
		case <-ctx.Done():
		}
		break
	}
	cancel()
	if err := server.Stop(); err != nil {
		m.Logger.Warn("the log could not be closed in order", "reason", err)
	}
	return nil
}

// Dump is what a standby knows.
func (s *Standby) Dump(ctx context.Context) (actors.Dump, error) {
	reply := make(chan actors.Dump, 1)
	select {
	case s.dump <- reply:
		return <-reply, nil
	case <-ctx.Done():
		return actors.Dump{}, ctx.Err()
	}
}

func (s *Standby) look() actors.Dump {
	state, event := s.follower.State()
	return actors.Dump{Node: messages.ServerID, Event: event, State: state, Live: s.live()}
}

func (s *Standby) live() map[string]any {
	live := map[string]any{lease.Actor: s.Standing().Live()}
	if songs, known := s.holder.Live(); known {
		live[songstore.DumpName] = songs
	}
	return live
}
