package transport

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"conga/messages"
)

var longest = strings.Repeat("x", messages.MaxPayload)

// casesFrame serves reading, appending and the fuzzer's seeds.
var casesFrame = []struct {
	name  string
	bytes string
	frame Frame
	err   error
}{
	{name: "chunk", bytes: "SC5   hello", frame: Frame{"SC", []byte("hello")}},
	{name: "empty heartbeat", bytes: "HB0   ", frame: Frame{"HB", []byte{}}},
	{name: "the seed's song", bytes: "NS100 " + strings.Repeat("2", 100), frame: Frame{"NS", bytes.Repeat([]byte("2"), 100)}},
	{name: "longest", bytes: "SC9999" + longest, frame: Frame{"SC", []byte(longest)}},
	{name: "unknown kind", bytes: "ZZ1   !", frame: Frame{"ZZ", []byte("!")}},
	{name: "end between frames", bytes: "", err: io.EOF},
	{name: "end in the header", bytes: "SC5", err: io.ErrUnexpectedEOF},
	{name: "end after the header", bytes: "SC5   ", err: io.ErrUnexpectedEOF},
	{name: "end in the payload", bytes: "SC5   hell", err: io.ErrUnexpectedEOF},
	{name: "small letters", bytes: "sc5   hello", err: ErrFrame},
	{name: "no length", bytes: "SC    hello", err: ErrFrame},
	{name: "length on the right", bytes: "SC   5hello", err: ErrFrame},
	{name: "negative length", bytes: "SC-5  hello", err: ErrFrame},
	{name: "gap in the length", bytes: "SC1 2 hello", err: ErrFrame},
	{name: "http", bytes: "GET / HTTP/1.1\r\n\r\n", err: ErrFrame},
	{name: "zeros", bytes: strings.Repeat("\x00", 64), err: ErrFrame},
}

func TestReadFrame(t *testing.T) {
	for _, c := range casesFrame {
		t.Run(c.name, func(t *testing.T) {
			for name, r := range map[string]io.Reader{
				"at once":      strings.NewReader(c.bytes),
				"byte by byte": iotest.OneByteReader(strings.NewReader(c.bytes)),
			} {
				frame, err := ReadFrame(bufio.NewReader(r))
				if !errors.Is(err, c.err) || c.err == nil && err != nil {
					t.Fatalf("%s: error %v, want %v", name, err, c.err)
				}
				if frame.Kind != c.frame.Kind || !bytes.Equal(frame.Payload, c.frame.Payload) {
					t.Errorf("%s: read %v, want %v", name, frame, c.frame)
				}
			}
		})
	}
}

func TestAppendFrame(t *testing.T) {
	for _, c := range casesFrame {
		if c.err != nil {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			got, err := AppendFrame([]byte("before"), c.frame)
			if err != nil || string(got) != "before"+c.bytes {
				t.Errorf("appended %q, %v", got, err)
			}
		})
	}
	for name, frame := range map[string]Frame{
		"too long":   {"SC", make([]byte, messages.MaxPayload+1)},
		"small kind": {"sc", nil},
		"no kind":    {"", nil},
		"long kind":  {"SCX", nil},
	} {
		if got, err := AppendFrame([]byte("before"), frame); !errors.Is(err, ErrFrame) || string(got) != "before" {
			t.Errorf("%s: appended %q, %v", name, got, err)
		}
	}
}

// An item keeps its payload for as long as the window: the next read must not touch it.
func TestReadFrame_Keeps(t *testing.T) {
	r := bufio.NewReaderSize(strings.NewReader("SC3   oneSC3   two"), 16)
	one, err := ReadFrame(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFrame(r); err != nil || string(one.Payload) != "one" {
		t.Errorf("after the next read the payload is %q, %v", one.Payload, err)
	}
}

func FuzzReadFrame(f *testing.F) {
	for _, c := range casesFrame {
		f.Add([]byte(c.bytes))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bufio.NewReader(bytes.NewReader(data))
		read := 0
		for {
			frame, err := ReadFrame(r)
			if err != nil {
				if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && read != len(data) {
					t.Fatalf("a clean end after %d of %d bytes", read, len(data))
				}
				return
			}
			back, err := AppendFrame(nil, frame)
			if err != nil || !bytes.Equal(back[headerSize:], data[read+headerSize:read+len(back)]) {
				t.Fatalf("frame %v comes back as %q, %v", frame, back, err)
			}
			read += len(back)
		}
	})
}
