// Package jetstream keeps an event log in a stream of NATS JetStream: on three servers instead of one disk.
//
// # The stream
//
// The radio "house" has the stream CONGA_house. A message on the subject conga.house.log holds the rows of one append, a JSON
// object a line. Much is cut into several messages, of which the last makes the others valid (Conga-Part: 7/7): an append
// whose writer died in between has never happened. On conga.house.kept.NAME is what Keep and Drop keep.
//
// # Who may write
//
// Every message is published with the stream's last sequence that its writer knows (Nats-Expected-Last-Sequence). So a
// writer that has missed anything, whatever it was, can add nothing: it gets eventlog.ErrConflict, and once it has written,
// each later append does, too. It has to step down; to read on and try again would undo what it has told others.
//
// If no answer comes, the same message is published again, expecting the same sequence: it is kept once or not at all. If it
// stays without an answer, Marks first puts another message in its place, so that it cannot come later.
//
// # What is read
//
// Only the stream's leader is asked. It, too, may be one that has not yet heard that it leads no more; so nothing is
// read beyond the sequence of the last acknowledged message, and what is missing before it is asked for again.
//
// # What survives
//
// An acknowledged event is on most of the stream's servers. They sync their disks every two minutes: after a power cut of
// all of them at once, an event survives only if they were configured with sync_interval: always.
package jetstream

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"conga/actors/eventlog"
)

const (
	// replicas is how many servers keep the stream, if there are so many.
	replicas = 3
	// dialPatience is how long each server may take to let the program in.
	dialPatience = time.Second
	// tryPatience is how long one request may take before it is made again, and patience how long all tries together may:
	// servers need some seconds to choose another leader.
	tryPatience = 2 * time.Second
	patience    = 15 * time.Second
	// pause is the time between two tries.
	pause = 50 * time.Millisecond
	// pingEvery is how often a silent server is asked whether it is there; two missing answers end the connection. A leader whose
	// server of NATS loses its power has to find another one within its lease.
	pingEvery = 400 * time.Millisecond
	// format is the stream's format. It grows when older programs cannot read it.
	format = "1"
	// formatKey is where the stream's metadata has it.
	formatKey = "conga-log-format"
)

// Config says which log is meant.
type Config struct {
	URL   string // of the servers, with commas between them: nats://a:4222,b:4222; may hold user:password@
	Radio string // its name: letters, digits, hyphens
	Creds string // file with a user's credentials; empty: none
	// On is an open store, whose connection is used, because a new one may have to wait for servers that do not answer. nil: a new
	// one. It must be closed last.
	On *Store
}

// Store is one radio's log. Several stores, in several processes, may be open on one log.
type Store struct {
	cfg    Config
	conn   *nats.Conn
	js     jetstream.JetStream
	stream jetstream.Stream
	names  names
	writer string // a random name for what this store writes; empty: read only
	life   context.Context
	end    context.CancelFunc
	try    time.Duration // tryPatience and patience; tests have less
	tries  time.Duration

	work   sync.Mutex // one write at a time
	sent   int        // messages that were published
	unsure bool       // the last message may be kept or not
	wrote  bool       // something was kept
	over   error      // another writer has followed; nothing can be written any more

	mu         sync.Mutex
	base, last eventlog.Mark
	at         uint64 // the stream's sequence up to which that is true
	// Where events are. All of it may be forgotten.
	places  places
	follows place   // what a reader that goes on will ask for
	whole   span    // part of the stream that is known to be one whole append
	lines   []*line // of its registers
}

var _ eventlog.Store = (*Store)(nil)

// names are what the radio has in NATS.
type names struct{ stream, subjects, log, kept string }

var radioName = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)

// GoodRadio is nil if radio can be a radio's name.
func GoodRadio(radio string) error {
	if !radioName.MatchString(radio) {
		return fmt.Errorf("%q is no name for a radio: up to 64 letters, digits and hyphens are", radio)
	}
	return nil
}

func namesOf(radio string) names {
	subject := "conga." + radio
	return names{stream: "CONGA_" + radio, subjects: subject + ".>", log: subject + ".log", kept: subject + ".kept."}
}

// Open opens the radio's log for writing, and creates it if it does not exist. If ctx ends meanwhile, so does it. All other errors
// name the servers.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	s, err := dial(ctx, cfg)
	if err != nil {
		return nil, err
	}
	s.writer = rand.Text()
	return s.open(ctx, s.create)
}

// OpenReader opens the radio's log for reading. Append, Drop and Keep fail.
func OpenReader(ctx context.Context, cfg Config) (*Store, error) {
	s, err := dial(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return s.open(ctx, s.find)
}

func (s *Store) open(ctx context.Context, stream func(context.Context) error) (*Store, error) {
	opened := context.AfterFunc(ctx, s.end)
	err := s.ask(stream)
	if err == nil {
		err = s.knownFormat()
	}
	if err == nil {
		err = s.load()
	}
	if !opened() {
		err = s.stopped(ctx)
	}
	if err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// options are those of each connection.
func (c Config) options() []nats.Option {
	options := []nats.Option{
		nats.Name("conga " + c.Radio), nats.Timeout(dialPatience),
		nats.PingInterval(pingEvery), nats.MaxPingsOutstanding(2),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}), // each call has its own; the library would print them
	}
	if c.Creds != "" {
		options = append(options, nats.UserCredentials(c.Creds))
	}
	return options
}

// dial connects to one of the servers. From then on the connection restores itself.
func dial(ctx context.Context, cfg Config) (*Store, error) {
	if err := GoodRadio(cfg.Radio); err != nil {
		return nil, err
	}
	options := append(cfg.options(), nats.MaxReconnects(-1), nats.ReconnectWait(4*pause), nats.ReconnectJitter(pause, pause),
		nats.ReconnectBufSize(-1)) // what cannot be sent now must not be sent later
	s := &Store{cfg: cfg, names: namesOf(cfg.Radio), try: tryPatience, tries: patience}
	var err error
	if cfg.On != nil {
		s.conn = cfg.On.conn
	} else if s.conn, err = connect(ctx, cfg.URL, options...); err != nil && ctx.Err() != nil {
		return nil, s.stopped(ctx)
	} else if err != nil {
		return nil, s.explain(err)
	}
	if s.js, err = jetstream.New(s.conn); err != nil {
		s.hangUp()
		return nil, s.explain(err)
	}
	s.life, s.end = context.WithCancel(context.Background())
	return s, nil
}

func (s *Store) find(ctx context.Context) (err error) {
	s.stream, err = s.js.Stream(ctx, s.names.stream)
	return err
}

// create finds the stream or makes it, with more replicas than it has if that is possible now.
func (s *Store) create(ctx context.Context) error {
	err := s.find(ctx)
	if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return err
	}
	config := s.config()
	if err == nil {
		config = s.stream.CachedInfo().Config
		if config.Replicas >= replicas || config.Metadata[formatKey] != format {
			return nil
		}
		config.Replicas = replicas
		if more, err := s.js.UpdateStream(ctx, config); err == nil {
			s.stream = more
		}
		return nil
	}
	s.stream, err = s.js.CreateStream(ctx, config)
	if isCode(err, codeNoPeers, codeNoCluster) {
		config.Replicas = 1
		s.stream, err = s.js.CreateStream(ctx, config)
	}
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another conga was faster
		return s.find(ctx)
	}
	return err
}

// config lets only the stream's leader answer (no AllowDirect).
func (s *Store) config() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: s.names.stream, Description: "conga's event log of the radio " + s.cfg.Radio, Subjects: []string{s.names.subjects},
		Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew, Storage: jetstream.FileStorage, Replicas: replicas,
		Metadata: map[string]string{formatKey: format},
	}
}

func (s *Store) knownFormat() error {
	switch has := s.stream.CachedInfo().Config.Metadata[formatKey]; {
	case has == "":
		return fmt.Errorf("the stream %s at %s is no log of conga: give the radio another name with --radio", s.names.stream, s.where())
	case has != format:
		return fmt.Errorf("%w: the stream %s at %s has format %s, this conga knows %s: start the newer conga, or give the radio another name with --radio",
			eventlog.ErrNewer, s.names.stream, s.where(), has, format)
	}
	return nil
}

// Replicas returns how many servers keep the log.
func (s *Store) Replicas() int { return s.stream.CachedInfo().Config.Replicas }

// Connected reports whether one of the servers is there. It may still be one of too few.
func (s *Store) Connected() bool { return s.conn.IsConnected() }

// Close ends the connections of the registers, and that of the store, if no other one has it.
func (s *Store) Close() error {
	s.end()
	s.mu.Lock()
	lines := s.lines
	s.mu.Unlock()
	for _, l := range lines {
		l.close()
	}
	s.hangUp()
	return nil
}

func (s *Store) hangUp() {
	if s.cfg.On == nil {
		s.conn.Close()
	}
}

// forget forgets where events are, because some were dropped. The caller holds mu.
func (s *Store) forget() { s.places, s.follows, s.whole = nil, place{}, span{} }

// ask makes a request until it is answered, for as long as all tries may take. do must be safe to be repeated.
func (s *Store) ask(do func(context.Context) error) error {
	all, cancel := context.WithTimeout(s.life, s.tries)
	defer cancel()
	for {
		within, cancel := context.WithTimeout(all, s.try)
		err := do(within)
		cancel()
		if err == nil || !mayPass(err) || !s.wait(all) {
			return s.explain(err)
		}
	}
}

// wait waits before the next try; false if there is no time for another.
func (s *Store) wait(ctx context.Context) bool {
	select {
	case <-time.After(pause):
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
