package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"conga/cmd/internal/cli"
	"conga/cmd/internal/keys"
	"conga/messages"
)

// radioName is the radio's name at NATS.
const radioName = "trial"

// stations are the two servers of one radio.
type stations struct {
	programs nodePrograms
	songs    string
	shared   bool // the second has no songs of its own: it fetches them
	slack    time.Duration
	log      string // the URL of the log
	all      [2]*station

	mu    sync.Mutex
	known []messages.SongSum // what they have sent
}

// station is one of them.
type station struct {
	net    network
	addr   string // host:port of its requests
	stream string // host:port of its stream
	data   string

	mu  sync.Mutex
	on  *process // nil: it was killed
	say *saying
}

// newStations finds places for both, and gives them one key. They do not run yet.
func newStations(programs nodePrograms, songs string, shared bool, log string, slack time.Duration, place func() (network, error), dir string) (*stations, error) {
	s := &stations{programs: programs, songs: songs, shared: shared, slack: slack, log: log}
	for i := range s.all {
		n, err := place()
		if err != nil {
			return nil, err
		}
		addr, stream, err := freePair(n)
		if err != nil {
			return nil, err
		}
		s.all[i] = &station{net: n, addr: addr, stream: stream, data: filepath.Join(dir, fmt.Sprint("server", i+1))}
	}
	if err := os.MkdirAll(s.all[0].data, 0o700); err != nil {
		return nil, fmt.Errorf("a server's folder: %w", err)
	}
	if _, err := keys.Signing(s.all[0].data); err != nil {
		return nil, err
	}
	return s, os.CopyFS(s.all[1].data, os.DirFS(s.all[0].data))
}

// freePair returns two ports of n that were free a moment ago, one after the other, below those that systems hand out.
func freePair(n network) (first, second string, err error) {
	for range 100 {
		port := 20_000 + 2*rand.IntN(6000)
		first, second = net.JoinHostPort(n.addr, strconv.Itoa(port)), net.JoinHostPort(n.addr, strconv.Itoa(port+1))
		one, err := n.bind(first)
		if err != nil {
			continue
		}
		two, err := n.bind(second)
		_ = one.Close()
		if err == nil {
			return first, second, two.Close()
		}
	}
	return "", "", errors.New("there is no free pair of ports")
}

// start starts a server, and waits until it leads or stands by.
func (s *stations) start(ctx context.Context, i int) error {
	st := s.all[i]
	say := &saying{}
	programs := nodePrograms{s.programs.conga, io.MultiWriter(say, s.programs.logs)}
	songs := []string{s.songs}
	if s.shared {
		songs = append(songs, "--share-songs")
		if i > 0 {
			songs[0] = "nats"
		}
	}
	on, err := programs.start(ctx, st.net, append([]string{
		"serve", "--data", st.data, "--listen", st.addr, "--http", st.net.addr + ":0", "--no-mdns",
		"--log", s.log, "--radio", radioName, "--servers", s.all[0].addr + "," + s.all[1].addr, "--slack", s.slack.String(),
		"--max-per-address", "4096", "--max-requests", "1000", // all listeners are on this machine
		"--songs",
	}, songs...)...)
	if err != nil {
		return err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	st.on, st.say = on, say
	return nil
}

func (st *station) process() *process {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.on
}

// kill is kill -9.
func (st *station) kill() {
	st.mu.Lock()
	on := st.on
	st.on, st.say = nil, nil
	st.mu.Unlock()
	if on != nil {
		on.close()
	}
}

func (s *stations) close() {
	for _, st := range s.all {
		st.kill()
	}
}

// leads reports whether this server says that it leads.
func (st *station) leads() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.on != nil && st.say.leads()
}

// errNoLeader says that nobody took over.
var errNoLeader = errors.New("no server says that it leads")

// leader waits until one leads, but not that one; -1: any.
func (s *stations) leader(ctx context.Context, but int, within time.Duration) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		for i, st := range s.all {
			if i != but && st.leads() {
				return i, nil
			}
		}
		if cli.Pause(ctx, 10*time.Millisecond) != nil {
			return 0, fmt.Errorf("%w after %v", errNoLeader, within)
		}
	}
}

// stocked waits until the second server has all songs.
func (s *stations) stocked(ctx context.Context) error {
	if !s.shared {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, stockedWithin)
	defer cancel()
	for !s.all[1].stocked() {
		if cli.Pause(ctx, 10*time.Millisecond) != nil {
			return fmt.Errorf("the second server has not fetched all songs within %v: take fewer, or --own-songs", stockedWithin)
		}
	}
	return nil
}

// stockedWithin is how long it may take to share and to fetch the songs.
const stockedWithin = 5 * time.Minute

// stocked reports whether this server says that it has all songs.
func (st *station) stocked() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.on != nil && st.say.stocked()
}

// remember asks what was sent, before a server that knows it is killed: the next process knows only its own songs.
func (s *stations) remember(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	for _, st := range s.all {
		on := st.process()
		if on == nil {
			continue
		}
		songs, err := sentBy(ctx, on)
		if err != nil {
			continue // it stands still, or has just died: its songs are remembered from the last time
		}
		s.mu.Lock()
		for _, song := range songs {
			if !slices.Contains(s.known, song) {
				s.known = append(s.known, song)
			}
		}
		s.mu.Unlock()
	}
}

func (s *stations) sent() []messages.SongSum {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.known)
}

// saying is what a server prints, and what follows from it.
type saying struct {
	mu   sync.Mutex
	rest []byte
	lead bool
	has  bool
}

func (s *saying) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rest = append(s.rest, p...)
	for {
		line, rest, whole := bytes.Cut(s.rest, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		s.rest = slices.Clone(rest)
		switch text := string(line); {
		case strings.Contains(text, "this server leads no longer"):
			s.lead = false
		case strings.Contains(text, "this server leads"):
			s.lead = true
		case strings.Contains(text, "this server has all songs of the radio") && !strings.HasSuffix(text, "songs=0"):
			s.has = true
		case strings.Contains(text, "this server lacks songs of the radio"):
			s.has = false
		}
	}
}

func (s *saying) leads() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lead
}

func (s *saying) stocked() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.has
}
