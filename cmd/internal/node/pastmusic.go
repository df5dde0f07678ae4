package node

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"conga/actors/player"
	"conga/messages"
	"conga/transport"

	"google.golang.org/protobuf/proto"
)

const (
	// againIn is how soon music of the past is heard after it began to come, and againLeast and againMost how long before it
	// is heard the rest may come: else the clock has been set, or the line has stood still, and it begins anew.
	againIn, againLeast, againMost = 800 * time.Millisecond, 50 * time.Millisecond, time.Minute
	// againGap is the longest pause that is kept. For a longer time nothing was broadcast.
	againGap = time.Second
	// askPastAgain is how long to wait before the server is asked again.
	askPastAgain = 2 * time.Second
)

// pastMusic is where a listener's own player gets the music of the past, while the listener passes on what is broadcast now.
// Only one of its sources is used at a time.
type pastMusic struct {
	open   func(ctx context.Context, moment string) (io.ReadCloser, error)
	now    func() int64
	logger *slog.Logger

	left context.Context      // it has ended: live is heard
	end  context.CancelFunc   // of left
	live func() player.Source // what is broadcast now

	moment string // where it goes on, if shift is not known
	known  bool
	told   string // why it could not be heard
	shift  int64  // how much later than it was heard it is heard now, in microseconds
}

func newPastMusic(open func(context.Context, string) (io.ReadCloser, error), moment string, logger *slog.Logger) *pastMusic {
	a := &pastMusic{open: open, moment: moment, logger: logger}
	a.left, a.end = context.WithCancel(context.Background())
	return a
}

// sources is what a listener's Past asks for.
func (a *pastMusic) sources(now func() int64, live func() player.Source) func() player.Source {
	a.now, a.live = now, live
	return a.Source
}

// leave returns to what is broadcast now: false if that is heard already.
func (a *pastMusic) leave() bool {
	heard := a.left.Err() == nil
	a.end()
	return heard
}

// Source goes on where the last one ended.
func (a *pastMusic) Source() player.Source {
	if a.left.Err() != nil {
		return a.live()
	}
	return &pastSource{pastMusic: a}
}

// pastSource is one connection to the server.
type pastSource struct {
	*pastMusic
	hangUp context.CancelFunc
	body   io.ReadCloser
	in     *bufio.Reader
	was    *messages.SongChange // the song, with its old times
	song   *messages.SongChange // and with its new ones; nil: they are not known yet
	until  int64                // when what was given is over; 0: nothing was
	queued *messages.Item
}

// Next returns the next item, with the time at which it is to be heard again.
func (s *pastSource) Next(ctx context.Context) (*messages.Item, error) {
	if item := s.queued; item != nil {
		s.queued = nil
		return item, nil
	}
	if s.body == nil {
		within, end := context.WithCancel(ctx) // the player ends, or the past does
		forget := context.AfterFunc(s.left, end)
		ctx, s.hangUp = within, func() { forget(); end() }
		if err := s.connect(ctx); err != nil {
			defer s.hangUp()
			if s.told != err.Error() {
				s.told = err.Error()
				s.logger.Warn("the past cannot be heard; the server is asked again and again", "reason", err)
			}
			return nil, errors.Join(err, wait(ctx, askPastAgain))
		}
		context.AfterFunc(ctx, func() { _ = s.body.Close() })
	}
	item, err := s.read()
	if err != nil {
		s.hangUp()
	}
	return item, err
}

func (s *pastSource) connect(ctx context.Context) (err error) {
	moment := s.moment
	if s.known {
		moment = time.UnixMicro(s.now() - s.shift - player.Preroll.Microseconds()).Format(time.RFC3339Nano)
	}
	if s.body, err = s.open(ctx, moment); err == nil {
		s.in, s.told = bufio.NewReader(s.body), ""
	}
	return err
}

func (s *pastSource) read() (*messages.Item, error) {
	for {
		frame, err := transport.ReadFrame(s.in)
		if err != nil {
			return nil, err
		}
		item, err := messages.ParseItem(frame.Kind, frame.Payload)
		switch {
		case err != nil:
			return nil, err
		case item.Change != nil:
			s.was, s.song = item.Change, nil
			continue
		case s.was == nil:
			return nil, messages.ErrPayload
		}
		return s.chunk(item)
	}
}

var errOutOfTime = errors.New("the music came too late, or the clock was set")

// chunk gives the chunk its new time. If it is the first of its song that is heard, the song's change goes before it.
func (s *pastSource) chunk(item *messages.Item) (*messages.Item, error) {
	now := s.now()
	item.Song = s.was
	at := item.PlayAt()
	turned := s.song == nil
	if turned {
		s.place(at, now)
	}
	item.Song = s.song
	if early := time.Duration(item.PlayAt()-now) * time.Microsecond; early < againLeast && s.until > 0 || early > againMost {
		s.known, s.moment = false, time.UnixMicro(at).Format(time.RFC3339Nano)
		return nil, errOutOfTime
	}
	s.until = item.PlayAt() + duration(item).Microseconds()
	if !turned {
		return item, nil
	}
	s.queued = item
	return &messages.Item{Number: s.song.GetNumber(), Change: s.song, Song: s.song}, nil
}

// place says when the song is heard, of which a chunk was heard at `at`: just after what was given before.
func (s *pastSource) place(at, now int64) {
	switch gap := time.Duration(at+s.shift-s.until) * time.Microsecond; {
	case !s.known:
		s.known, s.shift = true, now+againIn.Microseconds()-at
	case s.until > 0 && (gap > againGap || gap < -againGap):
		s.shift -= gap.Microseconds()
	}
	s.song = proto.CloneOf(s.was)
	s.song.PlayAtUnixUs += s.shift
}
