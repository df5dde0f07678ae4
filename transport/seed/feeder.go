package seed

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"conga/messages"
	"conga/transport"
)

const (
	// preroll is how much is decoded but not sent, so that the first sample sent is correct.
	preroll = 300 * time.Millisecond
	// reserve is how much a client gets at once, to play when something comes late.
	reserve = 500 * time.Millisecond
	// pulse is the length, in bytes, of a message of silence, which shows that the sender is alive.
	pulse = 4
	// usualRate is the sample rate that most songs have.
	usualRate = 44100
	// heartbeat is the longest time without a message to a client.
	heartbeat = 250 * time.Millisecond
	// stuckAfter is how long a write may take. A client reads no faster than it plays.
	stuckAfter = 10 * time.Second
	// formatPatience is how long to wait for the song that plays now.
	formatPatience = 50 * time.Millisecond
	// hurryAfter is how long a node that leaves waits for a full line before it writes anyway:
	// without DC the client's music would certainly end.
	hurryAfter = 300 * time.Millisecond
	// goodbyePatience is how long a client may take to go elsewhere after DC.
	goodbyePatience = time.Second
)

// Decoder turns items, in the order of their numbers, into samples, left and right; nothing for
// a song change. It belongs to one goroutine.
type Decoder interface{ Samples(*messages.Item) []int16 }

// Feeder plays the music to clients of 2016, each from its own cursor. Its methods may be
// called by any goroutine.
type Feeder struct {
	// Open returns a cursor that begins at the first item to be heard at that time (µs on
	// the server's clock) or later.
	Open    func(playAtUnixUs int64) transport.Cursor
	Decoder func() Decoder
	Now     func() int64         // the server's clock, in unix µs
	Slack   func() time.Duration // how long before it is heard the music is sent; nil: messages.Slack
	// Upstream lists where a client can receive from when this node leaves, as host:port, first choice
	// first. expected means that the chain knows that the client goes there. nil: nowhere.
	Upstream func(expected bool) []string
	Counters *transport.Counters
}

// Stream plays to every silent connection. It is for a listener's StreamsConfig.Seed in the chain
// of a server of 2016, where no one knows who comes.
func (f *Feeder) Stream(ctx context.Context, client *transport.Stranger) (taken bool) {
	if client.Admit() {
		node := &messages.Node{Id: uuid.NewString(), Name: "seed-" + hostOf(client.RemoteAddr())}
		_ = f.feed(ctx, client, audience{node: node}) // it has reported its end
	}
	return true
}

// audience is a client that is played to.
type audience struct {
	node     *messages.Node
	told     Format      // the format that it knows; the zero value is none
	expected func() bool // whether the chain knows that this node feeds it; nil: it does
}

// feed plays to a client until it goes, does not read, or this node leaves or ends. The error
// is errStuck if the client was cut off.
func (f *Feeder) feed(ctx context.Context, client *transport.Stranger, to audience) (err error) {
	node := to.node
	client.Tell(&messages.DownstreamOpened{Node: node})
	reason := "it closed the connection"
	defer func() { client.Tell(&messages.DownstreamClosed{Node: node, Reason: reason}) }()

	life, die := context.WithCancel(ctx) // the client's
	defer die()
	music, over := context.WithCancel(life)
	defer over()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer client.Close()                                          // ends hear
	defer context.AfterFunc(ctx, func() { _ = client.Close() })() // ends a write
	wg.Go(func() {
		defer die()
		hear(client)
	})
	hurry := make(chan struct{})
	wg.Go(func() {
		select {
		case <-client.Leaving:
			over()
		case <-music.Done():
			return
		}
		wait := time.NewTimer(hurryAfter)
		defer wait.Stop()
		select {
		case <-wait.C:
			close(hurry)
		case <-life.Done():
		}
	})
	s := &speech{f: f, to: client, life: life, hurry: hurry, told: to.told, expected: to.expected}
	if err = s.play(music); err != nil {
		reason = err.Error()
	}
	select {
	case <-client.Leaving:
	default:
		return err
	}
	if life.Err() == nil && s.goodbye() == nil {
		wait := time.NewTimer(goodbyePatience)
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-life.Done():
		}
	}
	return nil
}

// format returns the format of the song that plays now, or the usual one if none does.
func (f *Feeder) format(ctx context.Context) Format {
	cursor := f.Open(f.Now())
	defer cursor.Close()
	ctx, cancel := context.WithTimeout(ctx, formatPatience)
	defer cancel()
	if item, err := cursor.Next(ctx); err == nil && item.Song != nil {
		return formatOf(item.Song.GetSampleRate())
	}
	return formatOf(usualRate)
}

// hear waits for the client's end: it has nothing to say.
func hear(client *transport.Stranger) {
	buf := make([]byte, 512)
	for {
		if _, err := client.Reader.Read(buf); err != nil {
			return
		}
	}
}

// speech is the output to one client. It belongs to one goroutine.
type speech struct {
	f     *Feeder
	to    *transport.Stranger
	life  context.Context // ends with the client
	hurry <-chan struct{} // closed when this node must be gone
	told  Format          // the format that the client knows
	song  uint64          // the number of the song whose chunks it gets
	deaf  bool            // a write has failed: nothing reaches it any more
	// expected is the audience's.
	expected func() bool
}

// play sends the music until ctx ends or the client is gone. A client that has fallen out of
// the window continues with the newest.
func (s *speech) play(ctx context.Context) error {
	for {
		// Begin a little before the newest: a client plays what it gets at once, so this is the only
		// reserve that it will ever have.
		slack := messages.Slack
		if s.f.Slack != nil {
			slack = s.f.Slack()
		}
		from := s.f.Now() + (slack - reserve).Microseconds()
		err := s.follow(ctx, from)
		if ctx.Err() != nil || s.deaf {
			return err
		}
		select { // the window is closed or the cursor fell out: avoid a busy loop
		case <-time.After(heartbeat):
		case <-ctx.Done():
		}
	}
}

// follow sends the items of one cursor, from the first that is to be heard at `from` or later.
func (s *speech) follow(ctx context.Context, from int64) error {
	cursor := s.f.Open(from - preroll.Microseconds())
	defer cursor.Close()
	decoder := s.f.Decoder()
	for {
		item, err := next(ctx, cursor)
		switch {
		case errors.Is(err, transport.ErrQuiet):
			if err := s.say(messages.KindChunk, make([]byte, pulse)); err != nil {
				return err
			}
			continue
		case err != nil:
			return err
		}
		sound := soundOf(decoder.Samples(item))
		if item.Song == nil || item.PlayAt() < from && item.Change == nil {
			continue
		}
		if err := s.begin(item.Song); err != nil {
			return err
		}
		if err := s.chunk(sound); err != nil {
			return err
		}
	}
}

// next waits for an item, but returns none once ctx is over. A cursor returns items that it has without
// looking at ctx, and a client that is behind must not keep this node from leaving.
func next(ctx context.Context, cursor transport.Cursor) (*messages.Item, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return transport.Next(ctx, cursor, heartbeat)
}

// begin sends NS before a song's first chunk, and before the very first chunk unless the client
// knows the format already.
func (s *speech) begin(song *messages.SongChange) error {
	format := formatOf(song.GetSampleRate())
	known := song.GetNumber() == s.song || s.song == 0 && format == s.told
	s.song, s.told = song.GetNumber(), format
	if known {
		return nil
	}
	return s.say(messages.KindSongChange, songPayload(format))
}

func (s *speech) chunk(sound []byte) error {
	if len(sound) == 0 {
		return nil
	}
	for piece := range slices.Chunk(sound, maxPiece) {
		if err := s.say(messages.KindChunk, piece); err != nil {
			return err
		}
	}
	s.f.Counters.Chunks.Add(1)
	return nil
}

// goodbye sends DC with the node to receive from: the first whose address the client can use.
func (s *speech) goodbye() error {
	if s.deaf || s.f.Upstream == nil {
		return errStuck
	}
	for _, addr := range s.f.Upstream(s.expected == nil || s.expected()) {
		addr, found := overIPv4(s.life, addr)
		if payload, ok := leaving(addr); found && ok {
			return s.say(messages.KindLeaving, payload)
		}
	}
	return errStuck
}

// say writes one message, header and payload together, when the line is clear for it. So the header
// arrives in one piece; the client would take a part of a header for the whole.
func (s *speech) say(kind messages.Kind, payload []byte) error {
	err := await(s.life, s.hurry, func() (line, bool) { return lineOf(s.to.Conn) })
	if err == nil {
		_ = s.to.SetWriteDeadline(time.Now().Add(stuckAfter))
		var n int
		n, err = s.to.Write(frame(kind, payload))
		s.f.Counters.Bytes.Add(int64(n))
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errStuck
	}
	if errors.Is(err, errStuck) {
		s.f.Counters.Cut.Add(1)
	}
	s.deaf = err != nil
	return err
}

// hostIn returns the host of host:port.
func hostIn(addr string) string {
	host, _, _ := net.SplitHostPort(addr)
	return host
}

// hostOf returns the address without its port.
func hostOf(addr net.Addr) string {
	host, _, err := net.SplitHostPort(addr.String())
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(host); ip != nil {
		return ip.String() // an IPv4 address as such, also when it came over IPv6
	}
	return strings.TrimSpace(host)
}
