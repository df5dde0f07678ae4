package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"conga/actors/eventlog"
)

// Append publishes rows. The error is ErrConflict if the stream has events that this store does not know. If the
// store has written before, another writer has taken over then, and each later append gets that error, too.
func (s *Store) Append(expected uint64, rows []eventlog.Row) error {
	s.work.Lock()
	defer s.work.Unlock()
	if err := s.mayWrite(); err != nil {
		return err
	}
	if _, last := s.marks(); last.Seq != expected {
		return fmt.Errorf("%w: it is at %d", eventlog.ErrConflict, last.Seq)
	}
	if len(rows) == 0 {
		return nil
	}
	parts, err := partsOf(rows, s.partBytes())
	if err != nil {
		return err
	}
	mark := rows[len(rows)-1].Mark()
	if _, err := s.publish(s.names.log, parts, &mark); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = mark
	return nil
}

// Keep replaces what is kept under name, and removes the old.
func (s *Store) Keep(name string, data []byte) error {
	s.work.Lock()
	defer s.work.Unlock()
	if err := s.mayWrite(); err != nil {
		return err
	}
	return s.keep(name, data, nil)
}

// keep publishes data. What was kept before goes afterwards; if that fails, with the next Keep.
func (s *Store) keep(name string, data []byte, mark *eventlog.Mark) error {
	subject := s.names.kept + name
	first, err := s.publish(subject, cut(data, s.partBytes()), mark)
	if err == nil {
		_ = s.purge(subject, first)
	}
	return err
}

// Drop keeps the base and removes the messages all of whose events are before it. If that is interrupted, nobody reads
// them, and the next Drop removes them.
func (s *Store) Drop(base eventlog.Mark, data []byte) error {
	s.work.Lock()
	defer s.work.Unlock()
	if err := s.mayWrite(); err != nil {
		return err
	}
	old, last := s.marks()
	if base.Seq <= old.Seq {
		return fmt.Errorf("drop events up to %d: the log begins behind event %d", base.Seq, old.Seq)
	}
	through := s.known() + 1 // the sequence behind the dropped messages
	if base.Seq < last.Seq {
		var err error
		if through, err = s.place(base.Seq); err != nil {
			return err
		}
	}
	if err := s.keep(baseName, data, &base); err != nil {
		return err
	}
	s.mu.Lock()
	s.base = base
	if s.last.Seq < base.Seq {
		s.last = base
	}
	s.forget()
	s.mu.Unlock()
	_ = s.purge(s.names.log, through)
	return nil
}

// purge removes the subject's messages before the sequence.
func (s *Store) purge(subject string, before uint64) error {
	return s.ask(func(ctx context.Context) error {
		return s.stream.Purge(ctx, jetstream.WithPurgeSubject(subject), jetstream.WithPurgeSequence(before))
	})
}

// mayWrite settles what is unsure. The caller holds work.
func (s *Store) mayWrite() error {
	switch {
	case s.life.Err() != nil:
		return eventlog.ErrClosed
	case s.writer == "":
		return s.readOnly()
	case s.over != nil:
		return s.over
	}
	return s.settle()
}

func (s *Store) partBytes() int { return min(partBytes, int(s.conn.MaxPayload())-headerBytes) }

// publish publishes parts, one after the other, and returns the first one's sequence. mark is where they lead.
func (s *Store) publish(subject string, parts []part, mark *eventlog.Mark) (first uint64, err error) {
	for i, p := range parts {
		m, err := p.message(subject, i, len(parts), mark)
		if err != nil {
			return 0, err
		}
		if err := s.put(m); err != nil {
			return 0, err
		}
		if i == 0 {
			first = s.known()
		}
	}
	return first, nil
}

// put publishes one message as the stream's next, and tries until it is answered, for as long as all tries may take. However often it
// is tried, the message is kept once or not at all, because only one message can have that sequence.
func (s *Store) put(m *nats.Msg) error {
	s.sent++
	id := fmt.Sprintf("%s %d", s.writer, s.sent)
	m.Header.Set(headerWriter, id)
	at := s.known()
	ctx, cancel := context.WithTimeout(s.life, s.tries)
	defer cancel()
	for {
		within, cancel := context.WithTimeout(ctx, s.try)
		_, err := s.js.PublishMsg(within, m, jetstream.WithExpectLastSequence(at), jetstream.WithExpectStream(s.names.stream), jetstream.WithRetryAttempts(0))
		if isConflict(err) {
			err = s.whose(within, at+1, id)
		}
		cancel()
		switch {
		case err == nil:
			s.kept(at + 1)
			return nil
		case errors.Is(err, errEarlier):
			s.kept(at + 1)
			return err
		case errors.Is(err, eventlog.ErrConflict):
			s.conflict(err)
			return err
		case !mayPass(err) || !s.wait(ctx):
			s.unsure = true
			return s.explain(err)
		}
	}
}

// whose returns nil if the message at seq is the one with that id: an earlier try was kept. It is errEarlier for an earlier
// message of this store, ErrConflict for another's, and errMissing if none is there yet.
func (s *Store) whose(ctx context.Context, seq uint64, id string) error {
	there, err := s.stream.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		info, failed := s.stream.Info(ctx)
		if failed != nil || info.State.LastSeq < seq {
			return errors.Join(errMissing, failed) // it is on its way
		}
		there, err = s.stream.GetMsg(ctx, seq) // it may have come in between
	}
	if err == nil {
		switch by := there.Header.Get(headerWriter); {
		case by == id:
			return nil
		case strings.HasPrefix(by, s.writer+" "):
			return errEarlier
		}
		return s.another()
	}
	if errors.Is(err, jetstream.ErrMsgNotFound) { // it was there, and was removed
		return s.another()
	}
	return err
}

func (s *Store) another() error {
	return fmt.Errorf("%w: another conga has written to the log of %s at %s", eventlog.ErrConflict, s.cfg.Radio, s.where())
}

// errMissing: a message is not there, or not there yet.
var errMissing = errors.New("a message of the log is missing")

// errEarlier: the message before was kept after all.
var errEarlier = errors.New("the message before it is there")

// kept notes that the message at seq was acknowledged.
func (s *Store) kept(seq uint64) {
	s.wrote, s.unsure = true, false
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = seq
}

// conflict notes that another has written.
func (s *Store) conflict(err error) {
	if s.unsure = false; s.wrote {
		s.over = err
	}
}

// settle finds out what has become of a message that was not answered: it puts another one in its place. Then it asks how far
// the log is. The caller holds work.
func (s *Store) settle() error {
	if !s.unsure {
		return nil
	}
	if err := s.put(nats.NewMsg(s.names.log)); err != nil && !errors.Is(err, errEarlier) {
		return err
	}
	err := s.refresh(s.known())
	s.unsure = err != nil // what the log has got is not known yet
	return err
}
