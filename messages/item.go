package messages

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
)

// Kind is the two letters that begin a frame of the stream connection.
type Kind string

// The kinds of the native dialect. NS, SC and DC are the seed's own.
const (
	KindSongChange Kind = "NS" // SongChange; numbered
	KindChunk      Kind = "SC" // number, first frame, mp3 frames; numbered
	KindLeaving    Kind = "DC" // HOST#<host>#PORT#<port>
	KindHi         Kind = "HI" // OpenStream up, StreamOpened down
	KindSeal       Kind = "SG" // Seal
	KindHeartbeat  Kind = "HB" // a time, see AppendTime, or empty
	KindOffer      Kind = "OF" // OfferStream
	KindIdentity   Kind = "ID" // AskIdentity up, ProveIdentity down
)

// Item is one numbered thing of the broadcast: a song change or a chunk of whole
// mp3 frames. It is immutable and shared by all who read it.
type Item struct {
	Number     uint64
	Change     *SongChange // the song that begins here, nil for a chunk
	FirstFrame int64       // a chunk's first frame, counted from 0 in its song
	Frames     []byte      // a chunk's whole mp3 frames, unchanged
	Payload    []byte      // as it is sent; its hash is taken over it

	// Song is the change that the item belongs to, and Seal what proves it. Both are
	// set before the item is put into a window; Seal may be nil if there is no proof.
	Song *SongChange
	Seal *Seal
}

// ErrPayload marks a payload that is not what its kind promises.
var ErrPayload = errors.New("malformed payload")

// NewChunk makes a chunk: uvarint number, uvarint first frame, frames.
func NewChunk(number uint64, firstFrame int64, frames []byte) *Item {
	p := make([]byte, 0, 2*binary.MaxVarintLen64+len(frames))
	p = binary.AppendUvarint(p, number)
	p = binary.AppendUvarint(p, uint64(firstFrame))
	head := len(p)
	p = append(p, frames...)
	return &Item{Number: number, FirstFrame: firstFrame, Frames: p[head:], Payload: p}
}

// NewSongChange makes the item that begins a song.
func NewSongChange(change *SongChange) (*Item, error) {
	p, err := proto.MarshalOptions{Deterministic: true}.Marshal(change)
	if err != nil {
		return nil, fmt.Errorf("encode song change: %w", err)
	}
	if len(p) > MaxPayload {
		return nil, fmt.Errorf("song change of %d bytes: %w", len(p), ErrPayload)
	}
	return &Item{Number: change.GetNumber(), Change: change, Song: change, Payload: p}, nil
}

// ParseItem reads the payload of an NS or SC. It keeps payload and trusts nothing in it;
// every error is an ErrPayload.
func ParseItem(kind Kind, payload []byte) (*Item, error) {
	if len(payload) > MaxPayload {
		return nil, fmt.Errorf("%d bytes: %w", len(payload), ErrPayload)
	}
	switch kind {
	case KindSongChange:
		change := &SongChange{}
		if err := proto.Unmarshal(payload, change); err != nil {
			return nil, fmt.Errorf("song change: %w", ErrPayload)
		}
		if err := change.check(); err != nil {
			return nil, err
		}
		return &Item{Number: change.GetNumber(), Change: change, Song: change, Payload: payload}, nil
	case KindChunk:
		number, n := binary.Uvarint(payload)
		if n <= 0 || number == 0 {
			return nil, fmt.Errorf("chunk without a number: %w", ErrPayload)
		}
		first, m := binary.Uvarint(payload[n:])
		if m <= 0 || first > maxFrames {
			return nil, fmt.Errorf("chunk without its first frame: %w", ErrPayload)
		}
		if len(payload) == n+m {
			return nil, fmt.Errorf("chunk without music: %w", ErrPayload)
		}
		return &Item{Number: number, FirstFrame: int64(first), Frames: payload[n+m:], Payload: payload}, nil
	}
	return nil, fmt.Errorf("kind %q has no number: %w", kind, ErrPayload)
}

// maxFrames is the longest song that anybody may claim, a week: sums of
// durations stay far from overflow.
const maxFrames = 7 * 24 * 3600 * 48000 / SamplesPerFrame

func (c *SongChange) check() error {
	switch {
	case c.GetNumber() == 0:
		return fmt.Errorf("song change without a number: %w", ErrPayload)
	case c.GetSampleRate() != 32000 && c.GetSampleRate() != 44100 && c.GetSampleRate() != 48000:
		return fmt.Errorf("sample rate %d: %w", c.GetSampleRate(), ErrPayload)
	case c.GetFrames() < 0 || c.GetFrames() > maxFrames:
		return fmt.Errorf("%d frames: %w", c.GetFrames(), ErrPayload)
	case c.GetFramesPerChunk() < 1 || c.GetFramesPerChunk() > 16:
		return fmt.Errorf("%d frames in a chunk: %w", c.GetFramesPerChunk(), ErrPayload)
	}
	for _, us := range []int64{c.GetSlackBeforeUs(), c.GetSlackUs()} {
		if us != 0 && (us < MinSlack.Microseconds() || us > MaxSlack.Microseconds()) {
			return fmt.Errorf("sent %d µs before it is heard: %w", us, ErrPayload)
		}
	}
	return nil
}

// Kind is the item's two letters.
func (i *Item) Kind() Kind {
	if i.Change != nil {
		return KindSongChange
	}
	return KindChunk
}

// PlayAt returns when the item's first sample is to be heard, in microseconds on the
// server's clock. The item's Song must be set.
func (i *Item) PlayAt() int64 {
	return i.Song.GetPlayAtUnixUs() + FrameOffset(i.FirstFrame, i.Song.GetSampleRate()).Microseconds()
}

// Hash returns the hash of the item as a Seal has it.
func (i *Item) Hash() [HashSize]byte {
	h := sha256.New()
	h.Write([]byte(i.Kind()))
	h.Write(i.Payload)
	var sum [sha256.Size]byte
	return [HashSize]byte(h.Sum(sum[:0]))
}

// FrameOffset is the time from a song's start to its frame number `frame`.
func FrameOffset(frame int64, sampleRate int32) time.Duration {
	rate := int64(sampleRate)
	samples := frame * SamplesPerFrame
	return time.Duration(samples/rate)*time.Second + time.Duration(samples%rate*int64(time.Second)/rate)
}

// FramesPerChunk is how many whole frames make a chunk at this rate.
func FramesPerChunk(sampleRate int32) int32 {
	return max(1, int32(MaxChunkDuration*time.Duration(sampleRate)/(SamplesPerFrame*time.Second)))
}

// Chunks is how many chunks a song of so many frames has.
func (s *Song) Chunks() uint64 {
	per := int64(FramesPerChunk(s.GetSampleRate()))
	return uint64((s.GetFrames() + per - 1) / per)
}

// AppendTime appends a moment in unix microseconds, as a uvarint of milliseconds.
func AppendTime(dst []byte, unixUs int64) []byte {
	return binary.AppendUvarint(dst, uint64(max(0, unixUs/1000)))
}

// ParseTime returns the moment that begins the bytes, in unix microseconds, and 0 if none
// does that a calendar has.
func ParseTime(p []byte) int64 {
	ms, n := binary.Uvarint(p)
	if n <= 0 || ms > 1<<48 {
		return 0
	}
	return int64(ms) * 1000
}
