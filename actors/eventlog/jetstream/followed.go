package jetstream

import (
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"conga/actors/eventlog"
)

// Followed waits until another has written to the log behind what this store has written, and hears of it at once. The error is
// ErrConflict then, as it is of each later append, and ErrClosed after Close. What is written while no server can be reached is not
// heard.
func (s *Store) Followed() error {
	var behind atomic.Uint64 // the sequence behind which the last one is to be
	others := make(chan struct{}, 1)
	heard, err := s.conn.Subscribe(s.names.log, func(m *nats.Msg) {
		if strings.HasPrefix(m.Header.Get(headerWriter), s.writer+" ") {
			return
		}
		at, _ := strconv.ParseUint(m.Header.Get(jetstream.ExpectedLastSeqHeader), 10, 64)
		behind.Store(at)
		select {
		case others <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return s.explain(err)
	}
	defer func() { _ = heard.Unsubscribe() }()
	for {
		select {
		case <-others:
			if err := s.taken(behind.Load); err != nil {
				return err
			}
		case <-s.life.Done():
			return eventlog.ErrClosed
		}
	}
}

// taken returns ErrConflict if another has written. Its last message, which is to be behind that sequence, may be on its way to the
// stream, or refused.
func (s *Store) taken(behind func() uint64) error {
	for until := time.Now().Add(s.tries); ; {
		_, _, err := s.Marks()
		s.work.Lock()
		over := s.over
		s.work.Unlock()
		if over != nil {
			return over
		}
		if err == nil && s.known() > behind() || time.Now().After(until) || !s.wait(s.life) {
			return nil
		}
	}
}
