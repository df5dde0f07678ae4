package jetstream

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"conga/actors/eventlog"
)

// Codes of JetStream that its library does not name.
const (
	codeNoPeers     jetstream.ErrorCode = 10005 // there are not so many servers
	codeNoResources jetstream.ErrorCode = 10023
	codeNoMemory    jetstream.ErrorCode = 10028
	codeNoStorage   jetstream.ErrorCode = 10047
	codeNoCluster   jetstream.ErrorCode = 10074 // one server cannot keep several copies
	codeStreamFull  jetstream.ErrorCode = 10077
)

// unavailable is the code of errors like HTTP's.
const unavailable = 503

// errAway: no leader has answered.
var errAway = errors.New("does not answer, or too few of its servers do")

// isCode reports whether JetStream has answered with one of the codes.
func isCode(err error, codes ...jetstream.ErrorCode) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && slices.Contains(codes, api.ErrorCode)
}

// isConflict reports whether another sequence was last than the one that was expected.
func isConflict(err error) bool {
	return isCode(err, jetstream.JSErrCodeStreamWrongLastSequence, jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// mayPass reports whether a request that got err may succeed soon: servers are choosing a leader, or one of them died.
func mayPass(err error) bool {
	for _, passing := range []error{
		context.DeadlineExceeded, nats.ErrTimeout, nats.ErrNoResponders, nats.ErrDisconnected, nats.ErrConnectionReconnecting, nats.ErrReconnectBufExceeded,
		nats.ErrStaleConnection, jetstream.ErrNoStreamResponse, jetstream.ErrJetStreamNotEnabled, errMissing,
	} {
		if errors.Is(err, passing) {
			return true
		}
	}
	var api *jetstream.APIError
	return errors.As(err, &api) && api.Code == unavailable && !isCode(err, codeNoResources, codeNoMemory, codeNoStorage)
}

func (s *Store) where() string { return s.cfg.Where() }

// Where is the servers' address, without passwords.
func (c Config) Where() string {
	var all []string
	for one := range strings.SplitSeq(c.URL, ",") {
		one = strings.TrimSpace(one)
		if parsed, err := url.Parse(one); err == nil && parsed.User != nil {
			parsed.User = nil
			one = parsed.String()
		}
		all = append(all, one)
	}
	return strings.Join(all, ",")
}

// explain adds to an error of NATS what to do, and makes it one that eventlog knows; nil stays nil.
func (s *Store) explain(err error) error {
	at := s.where()
	switch {
	case err == nil:
		return nil
	case s.life != nil && s.life.Err() != nil, errors.Is(err, nats.ErrConnectionClosed):
		return eventlog.ErrClosed
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked), errors.Is(err, nats.ErrPermissionViolation),
		errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return fmt.Errorf("NATS at %s does not let conga in: give --nats-creds FILE, or nats://USER:PASSWORD@HOST, for an account with JetStream: %w", at, err)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("--nats-creds cannot be read: %w", err)
	case errors.Is(err, nats.ErrNoServers):
		return fmt.Errorf("NATS does not answer at %s: start it (nats-server -js), or say with --log where it is: %w", at, err)
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return fmt.Errorf("there is no log of a radio %s at %s: name the radio as its conga serve does, with --radio: %w", s.cfg.Radio, at, err)
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled):
		return fmt.Errorf("NATS at %s %w: wait for them, or, if JetStream is not switched on, start it with nats-server -js: %w", at, errAway, err)
	case isCode(err, codeNoResources, codeNoMemory, codeNoStorage, codeStreamFull):
		return fmt.Errorf("%w: NATS at %s takes no more: give JetStream more room, or keep less with --keep-log: %w", eventlog.ErrFull, at, err)
	case mayPass(err):
		return fmt.Errorf("NATS at %s %w: %w", at, errAway, err)
	}
	return fmt.Errorf("NATS at %s: %w", at, err)
}

// stopped is the error if the store was not to be opened after all.
func (s *Store) stopped(ctx context.Context) error {
	return fmt.Errorf("stopped before NATS at %s had answered: %w", s.where(), context.Cause(ctx))
}

func (s *Store) damaged(seq uint64, what string) error {
	return fmt.Errorf("%w: message %d of the stream %s at %s: %s", eventlog.ErrDamaged, seq, s.names.stream, s.where(), what)
}

func (s *Store) readOnly() error {
	return fmt.Errorf("the log of %s at %s was opened for reading only", s.cfg.Radio, s.where())
}
