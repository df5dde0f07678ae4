package seed

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"sync"

	"google.golang.org/protobuf/proto"

	"conga/messages"
	"conga/transport"
)

// Dialer connects a listener to a node above, of whatever kind. It finds out which: a native
// answers HI, one of the seed's kind plays at once, and is then heard as if it were native.
type Dialer struct {
	Dial  transport.DialFunc // nil: TCP, as natives are dialled
	Names *Names
}

// Connect is what a listener's UpstreamConfig.Dial does.
func (d *Dialer) Connect(ctx context.Context, addr string) (net.Conn, error) {
	dial := d.Dial
	if dial == nil {
		dial = transport.DialTCP
	}
	conn, err := dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	return &ear{Conn: conn, names: d.Names, in: bufio.NewReaderSize(conn, 16<<10)}, nil
}

// ear is a connection to an upstream that speaks either dialect: Read gives native bytes.
type ear struct {
	net.Conn
	names *Names
	in    *bufio.Reader

	// The reader's.
	native, foreign bool
	out             bytes.Buffer // native frames that were not read yet
	where           locator
	song            uint64 // the change that was said last
	answered        bool

	mu    sync.Mutex
	hello []byte // the listener's own HI, as far as it was written
}

// Write sends what the listener says. A node of the seed's kind never looks at it.
func (e *ear) Write(p []byte) (int, error) {
	e.mu.Lock()
	if len(e.hello) < messages.MaxPayload {
		e.hello = append(e.hello, p...)
	}
	e.mu.Unlock()
	return e.Conn.Write(p)
}

// Close says the end before it drops what was not read: a seed client takes an end for
// one, and a reset for a reason to break down.
func (e *ear) Close() error {
	if half, ok := e.Conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	return e.Conn.Close()
}

// Read gives a native's bytes as they are, and sound as native frames.
func (e *ear) Read(p []byte) (int, error) {
	if e.native && e.in.Buffered() == 0 {
		return e.Conn.Read(p)
	}
	if !e.native && !e.foreign {
		kind, err := e.in.Peek(len(messages.KindHi))
		if err != nil {
			return 0, err
		}
		switch messages.Kind(kind) {
		case messages.KindSongChange, messages.KindChunk, messages.KindLeaving:
			e.foreign = true
		default:
			e.native = true
		}
	}
	if e.native {
		return e.in.Read(p)
	}
	for e.out.Len() == 0 {
		if err := e.listen(); err != nil {
			return 0, err
		}
	}
	return e.out.Read(p)
}

// listen reads one message of the upstream and writes what follows from it into out.
func (e *ear) listen() error {
	open, err := e.open()
	if err != nil {
		return err
	}
	if !e.answered && open.GetNext() == 0 { // a newcomer takes whatever comes
		if err := e.answer(open, 0); err != nil {
			return err
		}
	}
	f, err := transport.ReadFrame(e.in)
	if err != nil {
		return err
	}
	switch f.Kind {
	case messages.KindChunk:
		if len(f.Payload) == pulse {
			e.beat()
		}
		at, whole := e.where.add(f.Payload)
		if !whole {
			return nil
		}
		return e.pass(open, at)
	case messages.KindSongChange:
		if _, err := parseSong(f.Payload); err != nil {
			return err
		}
		e.where.songChange()
		e.beat()
	case messages.KindLeaving:
		if !e.answered {
			return fmt.Errorf("it leaves: %w", transport.ErrFrame)
		}
		e.out.Write(frame(messages.KindLeaving, nil))
	default:
		return fmt.Errorf("%s of no dialect: %w", f.Kind, transport.ErrFrame)
	}
	return nil
}

// open is the HI that the listener has written.
func (e *ear) open() (*messages.OpenStream, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f, err := transport.ReadFrame(bufio.NewReader(bytes.NewReader(e.hello)))
	if err != nil {
		return nil, fmt.Errorf("before %s: %w", messages.KindHi, err)
	}
	open := &messages.OpenStream{}
	if err := proto.Unmarshal(f.Payload, open); err != nil {
		return nil, fmt.Errorf("%s: %w", f.Kind, transport.ErrFrame)
	}
	return open, nil
}

func (e *ear) answer(open *messages.OpenStream, first uint64) error {
	e.answered = true
	return e.write(messages.KindHi, &messages.StreamOpened{
		Version: messages.DialectVersion, Epoch: open.GetEpoch(), First: first,
		Node: &messages.Node{Id: open.GetUpstream(), Seed: true},
	})
}

// pass gives the chunk on, BEFORE it the change of a song that was not said yet.
func (e *ear) pass(open *messages.OpenStream, c chunk) error {
	if !e.answered { // one who was fed before needs to know whether there is a hole
		if err := e.answer(open, c.number); err != nil {
			return err
		}
	}
	if c.song() != e.song || c.index == 0 {
		e.song = c.song()
		if err := e.write(messages.KindSongChange, e.names.change(c.place)); err != nil {
			return err
		}
	}
	for _, part := range messages.NewSound(c.number, c.first(), c.sound).Parts() {
		e.out.Write(frame(messages.KindSound, part))
	}
	return nil
}

// beat shows that the upstream lives.
func (e *ear) beat() {
	if e.answered {
		e.out.Write(frame(messages.KindHeartbeat, nil))
	}
}

func (e *ear) write(kind messages.Kind, m proto.Message) error {
	payload, err := proto.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode %s: %w", kind, err)
	}
	if len(payload) > messages.MaxPayload {
		return fmt.Errorf("%s of %d bytes: %w", kind, len(payload), transport.ErrFrame)
	}
	e.out.Write(frame(kind, payload))
	return nil
}
