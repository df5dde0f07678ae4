package jetstream

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"conga/actors/eventlog"
)

// claims is a register in a stream that holds one message. Its sequence is the claim's number.
type claims struct {
	store   *Store
	stream  jetstream.Stream
	subject string
}

// Claims returns the radio's register, on the same servers and the same connection, and makes it if it does not exist.
func (s *Store) Claims() (eventlog.Claims, error) {
	c := &claims{store: s, subject: "conga-lead." + s.cfg.Radio}
	err := s.ask(func(ctx context.Context) (err error) {
		c.stream, err = s.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
			Name: s.names.stream + "_LEAD", Description: "who leads the radio " + s.cfg.Radio + " of conga", Subjects: []string{c.subject},
			MaxMsgs: 1, Discard: jetstream.DiscardOld, Storage: jetstream.FileStorage, Replicas: s.Replicas(),
			Metadata: map[string]string{formatKey: format},
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Claim makes one try: by the time of another, the claim may be old.
func (c *claims) Claim(ctx context.Context, expected uint64, data []byte) (uint64, error) {
	ack, err := c.store.js.PublishMsg(ctx, &nats.Msg{Subject: c.subject, Data: data},
		jetstream.WithExpectLastSequence(expected), jetstream.WithRetryAttempts(0))
	switch {
	case isConflict(err):
		return 0, fmt.Errorf("%w: another claim is there", eventlog.ErrConflict)
	case err != nil:
		return 0, c.store.explain(err)
	}
	return ack.Sequence, nil
}

// Watch gets the newest claim from the stream's leader, and those after it from whichever server sends them.
func (c *claims) Watch(ctx context.Context, seen func(number uint64, data []byte)) error {
	newest, err := c.stream.GetLastMsgForSubject(ctx, c.subject)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		newest = &jetstream.RawStreamMsg{}
	case err != nil:
		return c.store.explain(err)
	}
	seen(newest.Sequence, newest.Data)
	from, err := c.stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: newest.Sequence + 1})
	if err != nil {
		return c.store.explain(err)
	}
	messages, err := from.Messages(jetstream.PullMaxMessages(2 * maxAtOnce))
	if err != nil {
		return c.store.explain(err)
	}
	defer messages.Stop()
	defer context.AfterFunc(ctx, messages.Stop)()
	for number := newest.Sequence; ; {
		m, err := messages.Next()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return c.store.explain(err)
		}
		of, err := m.Metadata()
		if err != nil {
			return c.store.explain(err)
		}
		if of.Sequence.Stream > number {
			number = of.Sequence.Stream
			seen(number, m.Data())
		}
	}
}
