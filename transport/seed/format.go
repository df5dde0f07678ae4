package seed

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"strconv"
	"strings"

	"conga/messages"
	"conga/transport"
)

const (
	sampleWidth = 2 // bytes
	// songSize is the payload of every NS.
	songSize = 100
	// maxPiece is the longest payload that is sent. With its header it fits into one TCP segment on
	// every usual line, so that it usually arrives whole.
	maxPiece = 1404
)

// formatOf returns stereo at this rate as the program of 2016 names it: one channel of twice the rate, in
// chunks of a millisecond.
func formatOf(sampleRate int32) Format {
	return Format{Width: sampleWidth, Rate: 2 * int(sampleRate), Chunk: int(sampleRate) / 1000 * 4}
}

// soundFrame is the size of a frame of messages.SamplesPerFrame as sound, in bytes.
const soundFrame = messages.SamplesPerFrame * 2 * sampleWidth

// soundOf returns samples as they are sent: 16 bits, little-endian.
func soundOf(samples []int16) []byte {
	sound := make([]byte, 0, sampleWidth*len(samples))
	for _, sample := range samples {
		sound = binary.LittleEndian.AppendUint16(sound, uint16(sample))
	}
	return sound
}

// songPayload returns the payload of NS.
func songPayload(f Format) []byte {
	text := fmt.Sprintf("%d/%d/%d", f.Width, f.Rate, f.Chunk)
	return fmt.Appendf(nil, "%-*s", songSize, text)
}

// parseSong reads the payload of NS. It ignores further fields; every error is a
// transport.ErrFrame.
func parseSong(payload []byte) (Format, error) {
	fields := strings.Split(strings.TrimRight(string(payload), " \x00"), "/")
	var numbers [3]int
	if len(fields) < len(numbers) {
		return Format{}, fmt.Errorf("song %.100q: %w", payload, transport.ErrFrame)
	}
	for i := range numbers {
		n, err := strconv.Atoi(strings.TrimSpace(fields[i]))
		if err != nil || n < 1 || n > 1<<20 {
			return Format{}, fmt.Errorf("song %.100q: %w", payload, transport.ErrFrame)
		}
		numbers[i] = n
	}
	return Format{Width: numbers[0], Rate: numbers[1], Chunk: numbers[2]}, nil
}

// sampleRate returns the rate at which the format's left and right are played; 0 if conga
// cannot play it.
func sampleRate(f Format) int32 {
	switch rate := f.Rate / 2; {
	case f.Width != sampleWidth || f.Rate%2 != 0:
		return 0
	case rate == 32000 || rate == 44100 || rate == 48000:
		return int32(rate)
	}
	return 0
}

// leaving returns the payload of DC: the node to receive from instead, named by the port above its own.
func leaving(upstream string) ([]byte, bool) {
	host, port, err := net.SplitHostPort(upstream)
	if err != nil {
		return nil, false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || n == 65535 {
		return nil, false
	}
	return fmt.Appendf(nil, "HOST#%s#PORT#%d", host, n+1), true
}

// parseLeaving returns the address that the payload of DC names.
func parseLeaving(payload []byte) (addr string, ok bool) {
	fields := bytes.Split(payload, []byte("#"))
	if len(fields) < 4 || string(fields[0]) != PacketHost || string(fields[2]) != PacketPort {
		return "", false
	}
	port, err := strconv.ParseUint(strings.TrimSpace(string(fields[3])), 10, 16)
	host := string(fields[1])
	if err != nil || port < 2 || host == "" || strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", false
	}
	return net.JoinHostPort(host, strconv.FormatUint(port-1, 10)), true
}

// frame returns one message of the stream.
func frame(kind messages.Kind, payload []byte) []byte {
	b, err := transport.AppendFrame(make([]byte, 0, 6+len(payload)), transport.Frame{Kind: kind, Payload: payload})
	if err != nil {
		panic(err) // kinds and lengths are ours
	}
	return b
}
