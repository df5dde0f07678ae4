package jetstream

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"conga/actors/eventlog"
)

const (
	// registers is how many there are. All servers of a radio must mean the same ones, so it does not depend on NATS.
	registers = 3
	// readEvery is how often a register is read if it says nothing, and readPatience how long it may take to answer.
	readEvery    = 250 * time.Millisecond
	readPatience = 500 * time.Millisecond
	// rememberedClaims bounds of how many claims the subjects are known.
	rememberedClaims = 8
)

// claims is a register in a stream that holds one message, with a connection of its own.
//
// One server of NATS has the stream. If that loses its last messages, it gives their sequences again; so each claim has a
// subject of its own, and another is put in place of a sequence and a subject. The numbers are this handle's own.
type claims struct {
	store *Store
	line  *line
	names registerNames

	mu    sync.Mutex
	count uint64
	shown []shown // the last ones, oldest first
}

// registerNames are what a register has in NATS.
type registerNames struct {
	number  int // from 0
	stream  string
	subject string // before a claim's own
	told    string // the same, where the stream says what it has taken
}

type shown struct {
	number uint64
	at     spot
}

// spot is where a claim is in the stream.
type spot struct {
	sequence uint64
	subject  string // empty: the stream holds no message behind sequence
}

// Claims returns the radio's registers, on the same servers. Each is watched by one goroutine at a time, which first makes it if need
// be. Close ends their connections.
func (s *Store) Claims() (all []eventlog.Claims) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range registers {
		at := fmt.Sprintf("%s.%d.", s.cfg.Radio, i+1)
		l := &line{store: s, every: homeEvery, where: map[string]string{}}
		s.lines = append(s.lines, l)
		all = append(all, &claims{store: s, line: l, names: registerNames{i, fmt.Sprintf("%s_LEAD_%d", s.names.stream, i+1), "conga-lead." + at, "conga-led." + at}})
	}
	return all
}

// number returns the number of the claim: a new one if this handle does not know it.
func (c *claims) number(at spot) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, s := range slices.Backward(c.shown) {
		if s.at == at && (at.subject != "" || i == len(c.shown)-1) { // it may have been emptied again
			return s.number
		}
	}
	c.count++
	c.shown = append(slices.Clone(c.shown[max(0, len(c.shown)+1-rememberedClaims):]), shown{c.count, at})
	return c.count
}

// spot returns where the claim with that number is.
func (c *claims) spot(number uint64) (spot, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.shown {
		if s.number == number {
			return s.at, true
		}
	}
	return spot{}, false
}

// Claim makes one try: by the time of another, the claim may be old.
func (c *claims) Claim(ctx context.Context, expected uint64, data []byte) (uint64, error) {
	before, known := c.spot(expected)
	if !known {
		return 0, fmt.Errorf("%w: claim %d was not seen", eventlog.ErrConflict, expected)
	}
	options := []jetstream.PublishOpt{jetstream.WithExpectStream(c.names.stream), jetstream.WithExpectLastSequence(before.sequence), jetstream.WithRetryAttempts(0)}
	if before.subject != "" {
		options = append(options, jetstream.WithExpectLastSequenceForSubject(before.sequence, before.subject))
	}
	subject := c.names.subject + rand.Text()
	on, _ := c.line.now()
	if on.conn == nil {
		return 0, c.away(nats.ErrConnectionClosed)
	}
	ack, err := on.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: data}, options...)
	switch {
	case isConflict(err):
		return 0, fmt.Errorf("%w: another claim is there", eventlog.ErrConflict)
	case err != nil:
		return 0, c.away(err)
	}
	return c.number(spot{ack.Sequence, subject}), nil
}

// Watch gets claims from the stream as it takes them. What it may have missed, it reads.
func (c *claims) Watch(ctx context.Context, seen func(number uint64, data []byte)) error {
	for {
		if err := c.watch(ctx, seen); err != nil {
			return c.away(err)
		}
	}
}

// away is how an error is told: a server that does not answer, always in the same words.
func (c *claims) away(err error) error {
	_, home := c.line.now()
	var broken interface{ Timeout() bool } // as an error of a network has
	silent := mayPass(err) || errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, io.EOF) || errors.As(err, &broken)
	if silent && home != "" && c.store.life.Err() == nil {
		return fmt.Errorf("NATS at %s: its server %s, which has %s, does not answer", c.store.where(), home, c.names.stream)
	}
	return c.store.explain(err)
}

// watch is Watch until the connection is to be another one, which is no error.
func (c *claims) watch(ctx context.Context, seen func(number uint64, data []byte)) error {
	on, stream, err := c.reach(ctx)
	if err != nil {
		return err
	}
	ctx, end := context.WithCancel(ctx)
	var homing sync.WaitGroup
	defer homing.Wait()
	defer end()
	home := make(chan struct{})
	if _, at := c.line.now(); !on.to(at) {
		homing.Go(func() { c.line.goHome(ctx, home) })
	}
	told := make(chan *nats.Msg, maxAtOnce)
	from, err := on.conn.ChanSubscribe(c.names.told+">", told)
	if err != nil {
		return err
	}
	defer func() { _ = from.Unsubscribe() }()
	again := time.NewTicker(readEvery)
	defer again.Stop()
	for {
		newest, err := c.newest(ctx, stream)
		if at, _ := c.line.now(); err != nil && at == on {
			return err
		} else if err != nil {
			return nil
		}
		seen(c.number(spot{newest.Sequence, newest.Subject}), newest.Data)
		for last, reads := newest.Sequence, false; !reads; {
			select {
			case m := <-told:
				at, _ := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
				if at > last {
					last = at
					seen(c.number(spot{at, m.Header.Get(jetstream.SubjectHeader)}), m.Data)
				}
			case <-again.C:
				reads = true
			case <-home:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// newest reads the last message, or where the empty stream is.
func (c *claims) newest(ctx context.Context, stream jetstream.Stream) (*jetstream.RawStreamMsg, error) {
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	newest, err := stream.GetLastMsgForSubject(ctx, c.names.subject+">")
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		info, err := stream.Info(ctx)
		if err != nil {
			return nil, err
		}
		return &jetstream.RawStreamMsg{Sequence: info.State.LastSeq}, nil
	}
	return newest, err
}
