package transport

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"

	"google.golang.org/protobuf/proto"

	"conga/messages"
)

const (
	headerSize = 6              // kind and length
	kindSize   = 2              // letters
	lengthSize = headerSize - 2 // decimal digits, left-justified, padded with spaces
)

// ErrFrame marks bytes that are not a frame: the peer speaks another protocol.
var ErrFrame = errors.New("not a frame of the stream")

// Frame is one message of a stream connection: two upper-case letters and at most
// messages.MaxPayload bytes.
type Frame struct {
	Kind    messages.Kind
	Payload []byte
}

// ReadFrame reads one Frame; its payload is the caller's to keep. It returns io.EOF
// only between frames, and io.ErrUnexpectedEOF inside one. The error is ErrFrame if the
// header is not valid; then nothing sensible can be read any more.
func ReadFrame(r *bufio.Reader) (Frame, error) {
	// A header may come byte by byte. If a short read were taken for a whole header, every
	// later frame would be read wrong.
	header, err := r.Peek(headerSize)
	if err != nil {
		if errors.Is(err, io.EOF) && len(header) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return Frame{}, err
	}
	kind, n, err := parseHeader(header)
	if err != nil {
		return Frame{}, err
	}
	_, _ = r.Discard(headerSize) // it is there
	payload := make([]byte, n)
	if _, err := io.ReadFull(r, payload); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return Frame{}, err
	}
	return Frame{Kind: kind, Payload: payload}, nil
}

// parseHeader takes headerSize bytes.
func parseHeader(header []byte) (messages.Kind, int, error) {
	kind, length := header[:kindSize], header[kindSize:]
	if !upper(kind[0]) || !upper(kind[1]) {
		return "", 0, fmt.Errorf("header %q has no kind: %w", header, ErrFrame)
	}
	n, digits := 0, 0
	for digits < lengthSize && length[digits] >= '0' && length[digits] <= '9' {
		n = n*10 + int(length[digits]-'0')
		digits++
	}
	for _, b := range length[digits:] {
		if b != ' ' {
			return "", 0, fmt.Errorf("header %q has no length: %w", header, ErrFrame)
		}
	}
	if digits == 0 {
		return "", 0, fmt.Errorf("header %q has no length: %w", header, ErrFrame)
	}
	return kindOf(kind), n, nil
}

// kindOf needs no memory for the kinds that come with the music.
func kindOf(letters []byte) messages.Kind {
	for _, kind := range [...]messages.Kind{messages.KindChunk, messages.KindHeartbeat, messages.KindSeal} {
		if string(letters) == string(kind) {
			return kind
		}
	}
	return messages.Kind(letters)
}

func upper(b byte) bool { return b >= 'A' && b <= 'Z' }

// AppendFrame appends the frame to dst. If the kind is not two upper-case letters or the
// payload exceeds messages.MaxPayload, it returns ErrFrame and dst unchanged.
func AppendFrame(dst []byte, frame Frame) ([]byte, error) {
	if len(frame.Kind) != kindSize || !upper(frame.Kind[0]) || !upper(frame.Kind[1]) {
		return dst, fmt.Errorf("kind %q: %w", frame.Kind, ErrFrame)
	}
	if len(frame.Payload) > messages.MaxPayload {
		return dst, fmt.Errorf("payload of %d bytes: %w", len(frame.Payload), ErrFrame)
	}
	dst = append(dst, frame.Kind...)
	length := strconv.AppendInt(dst, int64(len(frame.Payload)), 10)
	for len(length) < len(dst)+lengthSize {
		length = append(length, ' ')
	}
	return append(length, frame.Payload...), nil
}

// messageFrame is the frame of that kind whose payload is m.
func messageFrame(kind messages.Kind, m proto.Message) ([]byte, error) {
	payload, err := proto.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", kind, err)
	}
	return AppendFrame(nil, Frame{Kind: kind, Payload: payload})
}
