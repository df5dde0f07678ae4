package jetstream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"conga/actors/eventlog"
)

// baseName is the name under which Drop keeps the states.
const baseName = "base"

// near is how many events may be read in vain rather than to search on.
const near = 16

// maxAtOnce is how many messages are asked for at once.
const maxAtOnce = 32

// Read asks for the messages that have these rows. If one is missing, it asks again: perhaps who answered does not lead any more.
func (s *Store) Read(after uint64, limit int, _ eventlog.Part) ([]eventlog.Row, error) {
	for until := time.Now().Add(s.try); ; {
		if s.life.Err() != nil {
			return nil, eventlog.ErrClosed
		}
		base, last := s.marks()
		after = max(after, base.Seq)
		if after >= last.Seq || limit <= 0 {
			return nil, nil
		}
		rows, err := s.read(after, limit, last)
		n := uint64(len(rows))
		if err != nil || n > 0 && rows[n-1].Seq == after+n && n == min(uint64(limit), last.Seq-after) {
			return rows, err
		}
		if time.Now().After(until) || !s.wait(s.life) {
			return rows, nil // the log sees what is missing
		}
		s.mu.Lock()
		s.forget()
		s.mu.Unlock()
	}
}

// read is one try to read rows up to the last event.
func (s *Store) read(after uint64, limit int, last eventlog.Mark) ([]eventlog.Row, error) {
	from, err := s.place(after + 1)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	at, all := s.at, assembly{}
	if s.whole.from <= from && from <= s.whole.to {
		all.sure = s.whole.to
	}
	s.mu.Unlock()
	var rows []eventlog.Row
	for n := uint64(2); from <= at && len(rows) < limit && after+uint64(len(rows)) < last.Seq; n = min(2*n, maxAtOnce) {
		messages, err := s.fetch(s.names.log, from, min(from+n-1, at))
		if err != nil {
			return nil, err
		}
		from += n
		for _, m := range messages {
			more, err := all.add(m)
			if err != nil {
				return nil, s.damaged(m.seq, err.Error())
			}
			s.note(m, &all)
			for i := range more {
				if seq := more[i].Seq; seq > after && seq <= last.Seq && len(rows) < limit {
					rows = append(rows, more[i])
				}
			}
			if len(more) > 0 && m.parts == 1 && len(rows) > 0 {
				s.goOn(rows[len(rows)-1].Seq+1, m.seq)
			}
		}
	}
	return rows, nil
}

// goOn remembers that event seq is in the message at, or behind it.
func (s *Store) goOn(seq, at uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.follows = place{seq, at}
}

// note remembers where events are.
func (s *Store) note(m *message, of *assembly) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.first > 0 {
		s.places.add(m.first, m.seq)
	}
	if m.last() && m.parts > 1 && of.began > 0 {
		s.whole = span{of.began, m.seq}
	}
}

// place returns the sequence of a message with event seq in it, or of one before it.
func (s *Store) place(seq uint64) (uint64, error) {
	s.mu.Lock()
	at, follows := s.at, s.follows
	known, high := s.places.around(seq)
	s.mu.Unlock()
	if follows.first == seq {
		return follows.seq, nil
	}
	low := max(known.seq, 1)
	if high == 0 {
		high = at + 1
	}
	for high > low+1 && (known.seq == 0 || seq-known.first > near) {
		middle := low + (high-low)/2
		m, err := s.next(s.names.log, middle)
		for err == nil && m != nil && m.first == 0 && m.seq < high {
			m, err = s.next(s.names.log, m.seq+1)
		}
		switch {
		case err != nil:
			return 0, err
		case m == nil || m.seq >= high || m.first > seq:
			high = middle
		default:
			known = place{m.first, m.seq}
			low = m.seq
		}
		if m != nil && m.first > 0 {
			s.mu.Lock()
			s.places.add(m.first, m.seq)
			s.mu.Unlock()
		}
	}
	return low, nil
}

// next returns the subject's first message from seq on; nil if there is none.
func (s *Store) next(subject string, seq uint64) (*message, error) {
	return s.one(func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
		return s.stream.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(subject))
	})
}

// latest returns the subject's last message; nil if there is none.
func (s *Store) latest(subject string) (*message, error) {
	return s.one(func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
		return s.stream.GetLastMsgForSubject(ctx, subject)
	})
}

func (s *Store) one(get func(context.Context) (*jetstream.RawStreamMsg, error)) (*message, error) {
	var raw *jetstream.RawStreamMsg
	err := s.ask(func(ctx context.Context) (err error) {
		if raw, err = get(ctx); errors.Is(err, jetstream.ErrMsgNotFound) {
			raw, err = nil, nil
		}
		return err
	})
	if err != nil || raw == nil {
		return nil, err
	}
	m, err := readMessage(raw)
	if err != nil {
		return nil, s.damaged(raw.Sequence, err.Error())
	}
	return m, nil
}

// before returns the subject's last message before seq; nil if there is none.
func (s *Store) before(subject string, seq uint64) (*message, error) {
	for step := uint64(1); ; step *= 2 {
		m, err := s.next(subject, max(seq, step+1)-step)
		for err == nil && m != nil && m.seq < seq {
			var following *message
			if following, err = s.next(subject, m.seq+1); following == nil || following.seq >= seq {
				return m, err
			}
			m = following
		}
		if err != nil || step >= seq {
			return nil, err
		}
	}
}

// complete returns the last message that completes an append to the subject; nil if there is none.
func (s *Store) complete(subject string) (*message, error) {
	m, err := s.latest(subject)
	for err == nil && m != nil && !m.last() {
		m, err = s.before(subject, m.seq)
	}
	return m, err
}

// fetch returns the subject's messages in that part of the stream, in order.
func (s *Store) fetch(subject string, from, to uint64) ([]*message, error) {
	found := make([]*message, to-from+1)
	errs := make([]error, len(found))
	var wg sync.WaitGroup
	for i := range found {
		wg.Go(func() {
			found[i], errs[i] = s.one(func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
				return s.stream.GetMsg(ctx, from+uint64(i))
			})
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	all := found[:0]
	for _, m := range found {
		if m != nil && m.subject == subject {
			all = append(all, m)
		}
	}
	return all, nil
}

// Marks asks the stream, also for what others have written.
func (s *Store) Marks() (base, last eventlog.Mark, err error) {
	s.work.Lock()
	defer s.work.Unlock()
	if s.life.Err() != nil {
		return base, last, eventlog.ErrClosed
	}
	if err = s.settle(); err == nil || errors.Is(err, eventlog.ErrConflict) {
		err = s.load()
	}
	if err != nil {
		return base, last, err
	}
	base, last = s.marks()
	return base, last, nil
}

func (s *Store) marks() (base, last eventlog.Mark) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.base, s.last
}

// known returns the stream's last sequence that is known.
func (s *Store) known() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at
}

// load asks how far the stream is. The caller holds work, or is the only one.
func (s *Store) load() error {
	known := s.known()
	var at uint64
	err := s.ask(func(ctx context.Context) error {
		info, err := s.stream.Info(ctx)
		if err != nil {
			return err
		}
		if at = info.State.LastSeq; at < known {
			return errMissing // it is no leader any more
		}
		return nil
	})
	if err != nil || at == known {
		return err
	}
	if s.wrote {
		s.conflict(s.another())
	}
	return s.refresh(at)
}

// refresh asks for the base and the last event of the stream, which is at the sequence at, or further.
func (s *Store) refresh(at uint64) error {
	base, err := s.complete(s.names.kept + baseName)
	if err != nil {
		return err
	}
	last, err := s.complete(s.names.log)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = at
	if base != nil && base.mark != nil && base.mark.Seq != s.base.Seq {
		s.base = *base.mark
		s.forget()
	}
	s.last = s.base
	if last != nil && last.mark != nil {
		if s.at = max(s.at, last.seq); last.mark.Seq > s.base.Seq {
			s.last = *last.mark
		}
	}
	return nil
}

// Kept puts the messages together that Keep has made.
func (s *Store) Kept(name string) ([]byte, error) {
	if s.life.Err() != nil {
		return nil, eventlog.ErrClosed
	}
	subject := s.names.kept + name
	var data []byte
	err := s.ask(func(context.Context) error { // once more if it was replaced meanwhile
		data = nil
		end, err := s.complete(subject)
		if err != nil || end == nil {
			return err
		}
		for from := end.seq - uint64(end.parts) + 1; from <= end.seq; from += maxAtOnce {
			to := min(from+maxAtOnce-1, end.seq)
			messages, err := s.fetch(subject, from, to)
			if err != nil {
				return err
			}
			if uint64(len(messages)) != to-from+1 {
				return errMissing
			}
			for _, m := range messages {
				data = append(data, m.data...)
			}
		}
		return nil
	})
	return data, err
}

// Size returns what one server keeps.
func (s *Store) Size() (int64, error) {
	info, err := s.info()
	if err != nil {
		return 0, err
	}
	return int64(info.State.Bytes), nil
}

// Check has nothing to check: each server checks the sum of each message that it reads.
func (s *Store) Check(context.Context) error {
	_, err := s.info()
	return err
}

func (s *Store) info() (info *jetstream.StreamInfo, err error) {
	if s.life.Err() != nil {
		return nil, eventlog.ErrClosed
	}
	err = s.ask(func(ctx context.Context) error {
		info, err = s.stream.Info(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ask for the log's stream: %w", err)
	}
	return info, nil
}
