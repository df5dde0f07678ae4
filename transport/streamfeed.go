package transport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/protobuf/proto"

	"conga/messages"
)

// feed answers the HI and sends the cursor's items until the listener goes, does not
// read, or the music ends. The error says why; it is never nil.
func (t *streamTalk) feed(r *bufio.Reader, open *messages.OpenStream, cursor Cursor) error {
	playing, gone := context.WithCancelCause(t.playing)
	defer gone(nil)
	heard := make(chan error, 1)
	guard(t.root, t.self, func() {
		err := t.hear(r)
		heard <- err
		gone(err)
	})

	item, err := Next(playing, cursor, firstPatience)
	if instead := t.later(open, item); instead != nil {
		if cursor, err = t.cfg.Open(instead); err != nil {
			return t.end(playing, err, heard)
		}
		defer cursor.Close()
		item, err = Next(playing, cursor, firstPatience)
	}
	if err != nil && !errors.Is(err, ErrQuiet) {
		return t.end(playing, err, heard)
	}
	answer := &messages.StreamOpened{Newest: t.cfg.Newest()}
	if item != nil {
		answer.First = item.Number
	}
	if err := t.answer(answer); err != nil {
		return err
	}
	if item != nil && OnlyAsks(open, item.Number) {
		return errAsked
	}
	t.stamped = time.Now()
	t.socket, t.quiet = socketOf(t.conn), time.NewTimer(t.heartbeat())
	defer t.quiet.Stop()
	t.continues = open.GetNext()
	if item == nil { // the answer to HI was a sign of life
		item, err = t.next(playing, cursor)
	}
	for {
		switch {
		case err == nil:
			if err := t.send(item, t.more(cursor)); err != nil {
				return err
			}
		case errors.Is(err, ErrQuiet):
			if err := t.write(t.stamp()); err != nil {
				return err
			}
		default:
			return t.end(playing, err, heard)
		}
		item, err = t.next(playing, cursor)
	}
}

// heartbeat is how long this node may say nothing to its listener.
func (t *streamTalk) heartbeat() time.Duration {
	if t.song == nil {
		return messages.HeartbeatIn(messages.MinSlack) // the listener may know the song, and how short its slack is
	}
	return messages.HeartbeatIn(min(t.song.Slacks()))
}

// next waits for the next item that this goroutine must send: while the listener reads, the goroutine that brings an item
// sends it. The error is ErrQuiet if nothing was sent for a heartbeat.
func (t *streamTalk) next(playing context.Context, cursor Cursor) (*messages.Item, error) {
	follow, is := cursor.(follower)
	if !is || t.socket == nil {
		return Next(playing, cursor, t.heartbeat())
	}
	t.quiet.Reset(t.heartbeat())
	item, err := follow.Follow(playing, t.quiet.C, t.direct)
	switch {
	case err != nil && playing.Err() != nil:
		return nil, context.Cause(playing)
	case item == nil && err == nil:
		return nil, ErrQuiet
	}
	return item, err
}

// more reports whether send may wait for the next item: it is there already. Nobody brings it, so next does not wait.
func (t *streamTalk) more(cursor Cursor) bool {
	follow, is := cursor.(follower)
	return is && follow.More()
}

// direct sends the item, with those before it that have waited for it, if the system takes all of that at once. If not,
// send goes on where direct stopped. The goroutine that brings the item calls it, while next waits.
func (t *streamTalk) direct(item *messages.Item, more bool) bool {
	if t.encode(item) != nil {
		return false // send finds the error, too
	}
	if more && len(t.buf) < enough {
		t.given(item)
		return true
	}
	t.sent = t.socket.try(t.buf)
	t.took(t.sent)
	if t.sent < len(t.buf) {
		t.partial = item
		return false
	}
	t.emptied()
	t.given(item)
	t.flow.left.Store(0)
	t.quiet.Reset(t.heartbeat())
	return true
}

// errAsked: the listener was told the first number that this node has, and that the number it needs is gone.
// If it were sent the whole window each time, an orphan's search would cost more than the music.
var errAsked = errors.New("the number it needs is gone")

// OnlyAsks reports whether the listener does not want music that begins at first, because it needs an
// earlier number.
func OnlyAsks(open *messages.OpenStream, first uint64) bool {
	return open.GetNext() > 0 && first > open.GetNext() && !open.GetHoles()
}

// later returns a copy of open with a later beginning if the listener must not get all that it asks for
// (see catchUps); nil if it may. first is the first item that it would get.
func (t *streamTalk) later(open *messages.OpenStream, first *messages.Item) *messages.OpenStream {
	newest := t.cfg.Newest()
	if first == nil || first.Number >= newest || OnlyAsks(open, first.Number) {
		return nil
	}
	instead := proto.CloneOf(open)
	switch t.admission.begin(t.seat, t.record, int(newest-first.Number)) {
	case startInTime:
		instead.Next, instead.PlayAtUnixUs = 0, max(open.GetPlayAtUnixUs(), t.cfg.ServerNow())
	case startNewest:
		instead.Next = newest
	default:
		return nil
	}
	return instead
}

// end finishes feed. A node that leaves says so and waits for its listener to go. A node that
// begins anew says so, too, so that it is not blamed when nothing follows.
func (t *streamTalk) end(playing context.Context, err error, heard <-chan error) error {
	leaving := errors.Is(context.Cause(playing), errLeaving)
	if !leaving && !errors.Is(err, messages.ErrAnew) {
		return err
	}
	if err := t.write(Frame{Kind: messages.KindLeaving, Payload: leavingPayload(t.cfg.Upstream)}); err != nil {
		return err
	}
	wait := time.NewTimer(goodbyePatience)
	defer wait.Stop()
	select {
	case <-heard:
	case <-wait.C:
	case <-t.life.Done():
	}
	if leaving {
		return errLeaving
	}
	return err
}

// leavingPayload names the node to receive from instead, in the format of 2016, whose port is one
// above the port to connect to. It is empty if that node is not known.
func leavingPayload(upstream func() string) []byte {
	if upstream == nil {
		return nil
	}
	host, port, err := net.SplitHostPort(upstream())
	if err != nil {
		return nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil
	}
	return fmt.Appendf(nil, "HOST#%s#PORT#%d", host, n+1)
}

// enough is how many bytes go out in one write, if so many are there: more would keep the next node waiting.
const enough = 32 << 10

// usual is how much buf has room for while no listener catches up: the largest item, with its seal and song.
const usual = 8 << 10

// send writes the item, or what direct has left of it. If more follows at once, it may leave that to the next send.
func (t *streamTalk) send(item *messages.Item, more bool) error {
	if t.partial != item {
		if err := t.encode(item); err != nil {
			return err
		}
	}
	t.partial = nil
	t.given(item)
	t.flow.left.Store(max(0, int64(t.cfg.Newest())-int64(item.Number)))
	if more && len(t.buf) < enough {
		return nil
	}
	return t.flush()
}

// given counts an item that was sent.
func (t *streamTalk) given(item *messages.Item) {
	if item.Change == nil {
		t.cfg.Counters.Chunks.Add(1)
		t.record.give(time.Now())
	}
}

// encode puts the item into buf, and before it what the listener does not have yet: the seal
// that covers the item, and its song. A listener lacks the song if it comes into the middle of it, or
// has skipped its beginning.
func (t *streamTalk) encode(item *messages.Item) error {
	if t.song == nil && item.Number == t.continues {
		t.song = item.Song
	}
	frames := make([]Frame, 0, 4)
	if time.Since(t.stamped) >= messages.StampEvery {
		frames = append(frames, t.stamp())
	}
	if item.Seal != nil && item.Seal != t.seal {
		payload, err := proto.Marshal(item.Seal)
		if err != nil {
			return fmt.Errorf("encode a seal: %w", err)
		}
		frames = append(frames, Frame{Kind: messages.KindSeal, Payload: payload})
		t.seal = item.Seal
	}
	if item.Change == nil && item.Song != nil && item.Song.GetNumber() != t.song.GetNumber() {
		song, err := messages.NewSongChange(item.Song)
		if err != nil {
			return err
		}
		frames = append(frames, Frame{Kind: messages.KindSongChange, Payload: song.Payload})
	}
	t.song = item.Song
	return t.pack(append(frames, Frame{Kind: item.Kind(), Payload: item.Payload})...)
}

// stamp returns a frame with the time. If stamps arrive later and later, the link is slow.
func (t *streamTalk) stamp() Frame {
	t.stamped = time.Now()
	return Frame{Kind: messages.KindHeartbeat, Payload: messages.AppendTime(nil, t.cfg.ServerNow())}
}

var errStuck = errors.New("it does not read")

// write sends the frames behind what is left of buf, in one write. The error is errStuck if the reader does not read.
func (t *streamTalk) write(frames ...Frame) error {
	t.partial = nil
	if err := t.pack(frames...); err != nil {
		return err
	}
	return t.flush()
}

// pack puts the frames into buf, behind what is not sent yet.
func (t *streamTalk) pack(frames ...Frame) (err error) {
	before := len(t.buf)
	defer func() { t.flow.given.Add(int64(len(t.buf) - before)) }()
	for _, frame := range frames {
		t.room(headerSize + len(frame.Payload))
		if t.buf, err = AppendFrame(t.buf, frame); err != nil {
			return err
		}
	}
	return nil
}

// large are buffers for listeners that catch up: what they need then is too much to keep for each, and to make anew each time.
var large = sync.Pool{New: func() any { return new([enough + usual]byte) }}

// room exchanges buf for a large one if so many more bytes do not fit into a usual one.
func (t *streamTalk) room(bytes int) {
	if t.large != nil || len(t.buf)+bytes <= usual {
		return
	}
	t.large = large.Get().(*[enough + usual]byte)
	t.buf, t.small = append(t.large[:0], t.buf...), t.buf[:0]
}

// flush sends what is left of buf, in one write.
func (t *streamTalk) flush() error {
	_ = t.conn.SetWriteDeadline(time.Now().Add(writePatience))
	n, err := t.conn.Write(t.buf[t.sent:])
	_ = t.conn.SetWriteDeadline(time.Time{}) // for direct
	t.took(n)
	t.emptied()
	if timedOut(err) {
		t.cfg.Counters.Cut.Add(1)
		return errStuck
	}
	return err
}

// took counts bytes that the system has taken.
func (t *streamTalk) took(n int) {
	t.cfg.Counters.Bytes.Add(int64(n))
	t.flow.taken.Add(int64(n))
}

// emptied begins with an empty buf. A large one is given back.
func (t *streamTalk) emptied() {
	t.buf, t.sent = t.buf[:0], 0
	if t.large != nil {
		large.Put(t.large)
		t.buf, t.small, t.large = t.small, nil, nil
	}
}

var (
	errGone   = errors.New("the listener closed the connection")
	errTalker = errors.New("it sends too much")
)

// hear waits for the listener's end. After HI a listener has nothing to say: its frames are
// ignored; garbage and floods end the connection.
func (t *streamTalk) hear(r *bufio.Reader) error {
	polite := rate.NewLimiter(20, 100) // frames a second, and frames at once
	for {
		_, err := ReadFrame(r)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed):
			return errGone
		case err != nil:
			return err
		case !polite.Allow():
			return errTalker
		}
	}
}
