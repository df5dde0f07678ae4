package seed

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"

	"google.golang.org/protobuf/proto"

	"conga/messages"
	"conga/transport"
)

const (
	// lead is how long before its play-out time a song is sent that does not follow another. It is more than
	// the second in which a client of 2016 passes on nothing before it leaves.
	lead = 1500 * time.Millisecond
	// tardy is how long before its play-out time a chunk must come; a later chunk gets a new time.
	tardy = 50 * time.Millisecond
	// songsAtOnce is how many songs may begin without any sound; a peer that sends more is broken.
	songsAtOnce = 16
)

// Stream connects to the node that feeds the listener. The connection behaves like one to a native
// server; it is for a listener's UpstreamConfig.Dial. It gives the music numbers, beginning with the one
// that the listener needs next, and play-out times.
//
// A server of 2016 sends as fast as it is read, because its clients read no faster than they play. So
// this connection reads no faster, either: it is never more than messages.Slack ahead.
func (r *Radio) Stream(ctx context.Context, _ string) (net.Conn, error) {
	r.mu.Lock()
	above, wait, going := r.above, time.Until(r.moved.Add(hearsay)), r.going
	r.mu.Unlock()
	if going {
		return nil, errGoing
	}
	if wait > 0 {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	conn, err := dialAbove(ctx, above)
	if ctx.Err() == nil {
		r.dialled(err == nil, time.Now())
	}
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.first = conn.RemoteAddr().String() == r.stream
	r.mu.Unlock()
	here, there := net.Pipe()
	t := &tuner{radio: r, from: conn, to: there, format: r.join.Format, pieces: make(chan piece)}
	life, over := context.WithCancel(r.life)
	r.wg.Go(func() {
		defer over()
		_ = t.read(life)
	})
	r.wg.Go(func() {
		defer func() {
			over()
			_ = there.Close()
			hangUp(conn)
		}()
		defer context.AfterFunc(r.life, func() { _ = there.Close() })()
		_ = t.run(life)
		if r.outlasts() {
			t.outlast(life)
		}
	})
	return here, nil
}

// abovePatience is how long the connection to the node above may take: there is no other node to ask.
const abovePatience = 3 * time.Second

func dialAbove(ctx context.Context, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, abovePatience)
	defer cancel()
	return transport.DialServer(ctx, addr)
}

// chunkFrames is how many frames of sound a chunk has: as many as fit into a message.
const chunkFrames = messages.MaxPayload / soundFrame

var errSound = errors.New("not the sound of whole samples")

// CheckSound checks the payload of a Radio's chunk. Only this listener ever gets such chunks.
func CheckSound(sound []byte) error {
	if len(sound) == 0 || len(sound)%(2*sampleWidth) != 0 || len(sound) > chunkFrames*soundFrame {
		return fmt.Errorf("%d bytes: %w", len(sound), errSound)
	}
	return nil
}

// Sound is a Decoder for the chunks of a Radio.
type Sound struct{}

// Samples returns the item's samples, left and right; none for a song change.
func (Sound) Samples(item *messages.Item) []int16 {
	samples := make([]int16, len(item.Frames)/sampleWidth)
	for i := range samples {
		samples[i] = int16(binary.LittleEndian.Uint16(item.Frames[sampleWidth*i:]))
	}
	return samples
}

// piece is one message of the upstream.
type piece = transport.Frame

// tuner turns what one upstream sends into native frames.
type tuner struct {
	radio  *Radio
	from   net.Conn
	to     net.Conn // the listener's end is native
	format Format
	pieces chan piece // closed with the upstream

	next   uint64 // number of the next item
	song   *messages.SongChange
	frames int64  // of the song, passed on so far
	bytes  int64  // of the song, passed on so far
	sound  []byte // for the next chunk
	ended  int64  // when the previous song is over, µs; 0: there was none
	begun  int    // songs in a row without sound
	alone  bool   // nobody listens any more
}

// read passes on what the upstream sends, no faster than it is taken: that sets the pace.
func (t *tuner) read(ctx context.Context) error {
	defer close(t.pieces)
	in := bufio.NewReaderSize(t.from, 16<<10)
	for {
		f, err := transport.ReadFrame(in)
		if err != nil {
			return err
		}
		select {
		case t.pieces <- f:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

var (
	errUpstreamGone = errors.New("the upstream has gone")
	errGoing        = errors.New("this listener leaves")
	errUnplayable   = errors.New("sound of a kind that conga cannot play")
)

// run answers the listener's HI and passes on the music until either end is over.
func (t *tuner) run(ctx context.Context) error {
	_ = t.to.SetReadDeadline(time.Now().Add(answerPatience))
	f, err := transport.ReadFrame(bufio.NewReader(t.to))
	if err != nil {
		return err
	}
	open := &messages.OpenStream{}
	if err := proto.Unmarshal(f.Payload, open); err != nil {
		return fmt.Errorf("%s: %w", f.Kind, transport.ErrFrame)
	}
	t.next = max(open.GetNext(), 1)
	err = t.write(messages.KindHi, &messages.StreamOpened{
		Version: messages.DialectVersion, Epoch: 1, First: t.next,
		Node: &messages.Node{Id: messages.ServerID, Name: messages.ServerID},
	})
	for err == nil {
		select {
		case p, open := <-t.pieces:
			if !open {
				return errUpstreamGone
			}
			err = t.take(ctx, p)
		case <-time.After(heartbeat):
			if err = t.flush(ctx); err == nil { // the end of a song, if no other follows
				err = t.put(frame(messages.KindHeartbeat, nil))
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

// outlast reads on, no faster than the music plays, until the upstream ends or ctx does.
func (t *tuner) outlast(ctx context.Context) {
	t.alone = true
	for {
		select {
		case p, open := <-t.pieces:
			if !open || t.take(ctx, p) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

func (t *tuner) take(ctx context.Context, p piece) error {
	switch p.Kind {
	case messages.KindChunk:
		return t.hear(ctx, p.Payload)
	case messages.KindSongChange:
		format, err := parseSong(p.Payload)
		if err != nil {
			return err
		}
		if err := t.flush(ctx); err != nil {
			return err
		}
		if t.begun++; t.begun > songsAtOnce {
			return fmt.Errorf("%d songs without sound: %w", t.begun, transport.ErrFrame)
		}
		t.format, t.song = format, nil
	case messages.KindLeaving:
		addr, ok := parseLeaving(p.Payload)
		if !ok {
			return fmt.Errorf("%s %.60q: %w", p.Kind, p.Payload, transport.ErrFrame)
		}
		if err := t.flush(ctx); err != nil {
			return err
		}
		t.radio.mu.Lock()
		t.radio.above, t.radio.moved, t.radio.missed = addr, time.Now(), time.Time{}
		t.radio.mu.Unlock()
		return t.put(frame(messages.KindLeaving, nil))
	default:
		return fmt.Errorf("%s of no dialect: %w", p.Kind, transport.ErrFrame)
	}
	return nil
}

// hear adds sound, and passes on whole chunks.
func (t *tuner) hear(ctx context.Context, sound []byte) error {
	rate := sampleRate(t.format)
	if rate == 0 {
		return fmt.Errorf("%d bytes at %d: %w", t.format.Width, t.format.Rate, errUnplayable)
	}
	t.begun = 0
	whole := chunkFrames * soundFrame
	for t.sound = append(t.sound, sound...); len(t.sound) >= whole; {
		chunk := t.sound[:whole:whole]
		t.sound = append([]byte(nil), t.sound[whole:]...)
		if err := t.pass(ctx, rate, chunk); err != nil {
			return err
		}
	}
	return nil
}

// flush passes on the sound that does not fill a chunk; then the song is over.
func (t *tuner) flush(ctx context.Context) error {
	rest := t.sound[:len(t.sound)/4*4]
	t.sound = nil
	if len(rest) == 0 {
		return nil
	}
	if err := t.pass(ctx, sampleRate(t.format), rest); err != nil {
		return err
	}
	t.song = nil
	return nil
}

// pass passes on a chunk, no earlier than messages.Slack before its play-out time. A song begins where
// the previous one ends; if it would be late, it gets a new time.
func (t *tuner) pass(ctx context.Context, rate int32, sound []byte) error {
	now := time.Now()
	if t.song == nil || t.due(t.bytes) < now.Add(tardy).UnixMicro() {
		at := now.Add(lead).UnixMicro()
		if t.song == nil && t.ended > now.Add(tardy).UnixMicro() {
			at = t.ended
		}
		if err := t.begin(rate, at); err != nil {
			return err
		}
	}
	if early := time.UnixMicro(t.due(t.bytes)).Add(-messages.Slack).Sub(now); early > 0 {
		if err := t.rest(ctx, early); err != nil {
			return err
		}
	}
	out := frame(messages.KindChunk, messages.NewChunk(t.next, t.frames, sound).Payload)
	t.next++
	t.frames += chunkFrames
	t.bytes += int64(len(sound))
	t.ended = t.due(t.bytes)
	return t.put(out)
}

// rest waits, and sends heartbeats meanwhile.
func (t *tuner) rest(ctx context.Context, wait time.Duration) error {
	for wait > 0 {
		step := min(wait, heartbeat)
		select {
		case <-time.After(step):
		case <-ctx.Done():
			return ctx.Err()
		}
		if wait -= step; wait > 0 {
			if err := t.put(frame(messages.KindHeartbeat, nil)); err != nil {
				return err
			}
		}
	}
	return nil
}

// begin sends a song change; the song's name is not known.
func (t *tuner) begin(rate int32, playAt int64) error {
	t.radio.mu.Lock()
	t.radio.songs++
	name := fmt.Sprintf("song-%d", t.radio.songs)
	t.radio.mu.Unlock()
	t.song = &messages.SongChange{
		Number: t.next, Song: name, SampleRate: rate, PlayAtUnixUs: playAt,
		FramesPerChunk: chunkFrames,
	}
	t.next++
	t.frames, t.bytes = 0, 0
	return t.write(messages.KindSongChange, t.song)
}

// due returns the play-out time of the song's byte, in µs.
func (t *tuner) due(bytes int64) int64 {
	samples, rate := bytes/4, int64(t.song.GetSampleRate())
	return t.song.GetPlayAtUnixUs() + samples/rate*1e6 + samples%rate*1e6/rate
}

func (t *tuner) write(kind messages.Kind, m proto.Message) error {
	payload, err := proto.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode %s: %w", kind, err)
	}
	return t.put(frame(kind, payload))
}

func (t *tuner) put(b []byte) error {
	if t.alone {
		return nil
	}
	_ = t.to.SetWriteDeadline(time.Now().Add(stuckAfter))
	_, err := t.to.Write(b)
	return err
}
