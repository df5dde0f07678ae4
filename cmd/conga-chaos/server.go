package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"conga/messages"
)

// origin is the server of a run: it can be killed and started again.
type origin interface {
	// restart is kill -9 and, after the pause, a new start on the same log and ports.
	restart(ctx context.Context, pause time.Duration) error
	// sent returns every song that was sent whole, as far as it was asked in time.
	sent(ctx context.Context) ([]messages.SongSum, error)
	// freeze is SIGSTOP, thaw is SIGCONT; a server that was restarted in between runs.
	freeze(ctx context.Context)
	thaw()
	place() network
	close()
}

// mostOfAddress and manyRequests are the server's limits, because all listeners are on this machine.
const mostOfAddress, manyRequests = 20_000, 1000

// serverProcess is a server process.
type serverProcess struct {
	net         network
	programs    nodePrograms
	songs, data string

	mu      sync.Mutex // held while there is no server
	on      *process
	addr    string
	known   []messages.SongSum
	stopped bool
}

func startServerProcess(ctx context.Context, n network, programs nodePrograms, songs, data string) (*serverProcess, error) {
	s := &serverProcess{net: n, programs: programs, songs: songs, data: data}
	on, err := s.start(ctx, n.addr+":0")
	if err != nil {
		return nil, err
	}
	s.on, s.addr = on, on.ready["requests"]
	return s, nil
}

func (s *serverProcess) start(ctx context.Context, listen string) (*process, error) {
	return s.programs.start(ctx, s.net, "serve", "--songs", s.songs, "--data", s.data, "--listen", listen, "--http", s.net.addr+":0",
		"--max-per-address", strconv.Itoa(mostOfAddress), "--max-listeners", strconv.Itoa(mostOfAddress), "--max-requests", strconv.Itoa(manyRequests))
}

func (s *serverProcess) restart(ctx context.Context, pause time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped { // otherwise it was asked when it stopped
		_ = s.remember(ctx) // before the kill, because the next process knows only its own songs
	}
	s.stopped = false
	s.on.close()
	select {
	case <-time.After(pause):
	case <-ctx.Done():
		return ctx.Err()
	}
	on, err := s.start(ctx, s.addr)
	if err != nil {
		return fmt.Errorf("start the server again: %w", err)
	}
	s.on = on
	return nil
}

func (s *serverProcess) freeze(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.remember(ctx)
	s.on.freeze()
	s.stopped = true
}

func (s *serverProcess) thaw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.on.thaw()
	s.stopped = false
}

func (s *serverProcess) place() network { return s.net }

func (s *serverProcess) remember(ctx context.Context) error {
	songs, err := sentBy(ctx, s.on)
	for _, song := range songs {
		if !slices.Contains(s.known, song) {
			s.known = append(s.known, song)
		}
	}
	return err
}

// sentBy returns the songs that a server remembers to have sent whole.
func sentBy(ctx context.Context, server *process) ([]messages.SongSum, error) {
	var dump struct {
		Live struct {
			Pacer struct {
				Songs []messages.SongSum `json:"songs"`
			} `json:"pacer"`
		} `json:"live"`
	}
	err := server.dump(ctx, &dump)
	return dump.Live.Pacer.Songs, err
}

func (s *serverProcess) sent(ctx context.Context) ([]messages.SongSum, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return slices.Clone(s.known), nil // nothing is new
	}
	err := s.remember(ctx)
	return slices.Clone(s.known), err
}

func (s *serverProcess) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.on.close()
}
