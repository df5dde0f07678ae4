package transport

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"conga/messages"
)

const (
	headerSize = 6              // kind and length
	kindSize   = 2              // letters
	lengthSize = headerSize - 2 // decimal digits, left-justified, padded with spaces
)

// ErrFrame marks bytes that are no frame: the peer speaks something else.
var ErrFrame = errors.New("not a frame of the stream")

// Frame is one message of a stream connection: two upper-case letters and at most
// messages.MaxPayload bytes.
type Frame struct {
	Kind    messages.Kind
	Payload []byte
}

// ReadFrame reads one Frame; its payload is the caller's to keep. It returns io.EOF
// only between frames; a stream cut inside a frame is io.ErrUnexpectedEOF. A header
// that is none is an ErrFrame, after which nothing sensible can be read.
func ReadFrame(r *bufio.Reader) (Frame, error) {
	var header [headerSize]byte
	// ReadFull, always: a header may come byte by byte, and one short read taken for a
	// whole header shifts the stream for ever.
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return Frame{}, err
	}
	kind, n, err := parseHeader(header)
	if err != nil {
		return Frame{}, err
	}
	payload := make([]byte, n)
	if _, err := io.ReadFull(r, payload); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return Frame{}, err
	}
	return Frame{Kind: kind, Payload: payload}, nil
}

func parseHeader(header [headerSize]byte) (messages.Kind, int, error) {
	kind, length := header[:kindSize], header[kindSize:]
	if !upper(kind[0]) || !upper(kind[1]) {
		return "", 0, fmt.Errorf("header %q has no kind: %w", header[:], ErrFrame)
	}
	n, digits := 0, 0
	for digits < lengthSize && length[digits] >= '0' && length[digits] <= '9' {
		n = n*10 + int(length[digits]-'0')
		digits++
	}
	for _, b := range length[digits:] {
		if b != ' ' {
			return "", 0, fmt.Errorf("header %q has no length: %w", header[:], ErrFrame)
		}
	}
	if digits == 0 {
		return "", 0, fmt.Errorf("header %q has no length: %w", header[:], ErrFrame)
	}
	return messages.Kind(kind), n, nil
}

func upper(b byte) bool { return b >= 'A' && b <= 'Z' }

// AppendFrame appends the frame to dst. A kind that is not two upper-case letters, or a
// payload beyond messages.MaxPayload, is an ErrFrame and leaves dst as it was.
func AppendFrame(dst []byte, frame Frame) ([]byte, error) {
	if len(frame.Kind) != kindSize || !upper(frame.Kind[0]) || !upper(frame.Kind[1]) {
		return dst, fmt.Errorf("kind %q: %w", frame.Kind, ErrFrame)
	}
	if len(frame.Payload) > messages.MaxPayload {
		return dst, fmt.Errorf("payload of %d bytes: %w", len(frame.Payload), ErrFrame)
	}
	dst = fmt.Appendf(dst, "%s%-*d", frame.Kind, lengthSize, len(frame.Payload))
	return append(dst, frame.Payload...), nil
}
