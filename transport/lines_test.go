package transport

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"conga/messages"
)

// casesLine serves parsing, appending and the fuzzer's seeds.
var casesLine = []struct {
	name string
	line string
	m    proto.Message
	err  error
}{
	{name: "hello", line: `HELLO {"version":1,"node":{"id":"` + amyID + `","name":"amy","relay":":7100"},"leaf":true}`, m: &messages.Hello{
		Version: 1, Node: &messages.Node{Id: amyID, Name: "amy", Relay: ":7100"}, Leaf: true,
	}},
	{name: "welcome", line: `WELCOME {"version":1,"key":"AQI=","epoch":"7"}`, m: &messages.Welcome{Version: 1, Key: []byte{1, 2}, Epoch: 7}},
	{name: "refused", line: `REFUSED {"reason":"first\nsecond"}`, m: &messages.Refused{Reason: "first\nsecond"}},
	{name: "ask", line: `ASK {"requestId":"1","line":"PLAY 2"}`, m: &messages.Ask{RequestId: "1", Line: "PLAY 2"}},
	{name: "answer", line: `ANSWER {"requestId":"1","lines":["1. bach.mp3","2. über.mp3"]}`, m: &messages.Answer{RequestId: "1", Lines: []string{"1. bach.mp3", "2. über.mp3"}}},
	{name: "neighbours", line: `NEIGHBOURS {"id":"a","ancestors":[{"id":"server"}],"event":"9"}`, m: &messages.Neighbours{Id: "a", Ancestors: []*messages.Node{{Id: "server"}}, Event: 9}},
	{name: "playing", line: `PLAYING {"song":{"name":"bach.mp3"},"queue":[{"song":{"name":"a"},"listenerName":"amy"}]}`, m: &messages.Playing{Song: &messages.Song{Name: "bach.mp3"}, Queue: []*messages.Coming{{Song: &messages.Song{Name: "a"}, ListenerName: "amy"}}}},
	{name: "clock ping", line: `CLOCKPING {"sentUs":"5"}`, m: &messages.ClockPing{SentUs: 5}},
	{name: "clock pong", line: `CLOCKPONG {"sentUs":"5","serverUnixUs":"6"}`, m: &messages.ClockPong{SentUs: 5, ServerUnixUs: 6}},
	{name: "clock pong of a busy server", line: `CLOCKPONG {"sentUs":"5","serverUnixUs":"6","waitUs":"7"}`, m: &messages.ClockPong{SentUs: 5, ServerUnixUs: 6, WaitUs: 7}},
	{name: "speak up", line: `SPEAKUP {}`, m: &messages.SpeakUp{}},
	{name: "peer lost", line: `PEERLOST {"id":"a","reason":"silent for 1s"}`, m: &messages.PeerLost{Id: "a", Reason: "silent for 1s"}},
	{name: "leave", line: `LEAVECHAIN {}`, m: &messages.LeaveChain{}},
	{name: "field of a later version", line: `CLOCKPING {"sentUs":"5","mood":{"good":true}}`, m: &messages.ClockPing{SentUs: 5}},
	{name: "plain word", line: `SONGS`, err: ErrUnknownVerb},
	{name: "small letters", line: `hello {}`, err: ErrUnknownVerb},
	{name: "word without line", line: `ITEM {}`, err: ErrUnknownVerb},
	{name: "empty", line: ``, err: ErrUnknownVerb},
	{name: "no body", line: `HELLO`, err: ErrLine},
	{name: "half a body", line: `HELLO {"version":`, err: ErrLine},
	{name: "other type", line: `HELLO {"version":"x"}`, err: ErrLine},
	{name: "deep", line: `HELLO {"x":` + strings.Repeat("[", 500) + strings.Repeat("]", 500) + `}`, err: ErrLine},
}

func TestParseLine(t *testing.T) {
	for _, c := range casesLine {
		t.Run(c.name, func(t *testing.T) {
			m, err := ParseLine(c.line)
			if !errors.Is(err, c.err) || c.err == nil && err != nil {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			if c.err == nil && !proto.Equal(m, c.m) {
				t.Errorf("parsed %v, want %v", m, c.m)
			}
		})
	}
}

// protojson's bytes differ from build to build: what counts is that the line is one line
// and comes back as the same message.
func TestAppendLine(t *testing.T) {
	for _, c := range casesLine {
		if c.err != nil {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			b, err := AppendLine(nil, c.m)
			if err != nil {
				t.Fatal(err)
			}
			line, ended := strings.CutSuffix(string(b), "\n")
			if !ended || !isText(line) {
				t.Fatalf("%q is not one line", b)
			}
			if back, err := ParseLine(line); err != nil || !proto.Equal(back, c.m) {
				t.Errorf("%q comes back as %v, %v", line, back, err)
			}
		})
	}
	if b, err := AppendLine(nil, &messages.SongAdded{}); !errors.Is(err, ErrUnknownVerb) || b != nil {
		t.Errorf("an event became the line %q, %v", b, err)
	}
}

func TestReadLine(t *testing.T) {
	full := strings.Repeat("x", messages.MaxLine-1)
	r := bufio.NewReaderSize(strings.NewReader("SONGS\nPLAY 2\r\n\n"+full+"\n\xff\xfe\nbell\a\nlast"), messages.MaxLine)
	for i, want := range []struct {
		line string
		err  error
	}{
		{"SONGS", nil},
		{"PLAY 2", nil},
		{"", nil},
		{full, nil},
		{"\xff\xfe", ErrNotText},
		{"bell\a", ErrNotText},
		{"last", nil},
		{"", io.EOF},
		{"", io.EOF},
	} {
		if line, err := ReadLine(r); line != want.line || !errors.Is(err, want.err) {
			t.Fatalf("line %d is %q, %v, want %q, %v", i, line, err, want.line, want.err)
		}
	}
	r = bufio.NewReaderSize(strings.NewReader(full+"x\n"), messages.MaxLine)
	if line, err := ReadLine(r); !errors.Is(err, ErrLineTooLong) || line != (full + "x\n")[:messages.MaxLine] {
		t.Errorf("a line of a byte too much is %.20q, %v", line, err)
	}
}

func TestReadReply(t *testing.T) {
	long := strings.Repeat("x", maxReply-1)
	r := bufio.NewReaderSize(strings.NewReader("short\n"+long+"\nagain\n"+long+"yyyy"+long), messages.MaxLine)
	for _, want := range []string{"short", long, "again"} {
		if line, err := readReply(r); err != nil || line != want {
			t.Fatalf("read %d bytes, %v, want %d", len(line), err, len(want))
		}
	}
	if _, err := readReply(r); !errors.Is(err, ErrLineTooLong) {
		t.Errorf("a reply without an end: %v", err)
	}
}

func FuzzParseLine(f *testing.F) {
	for _, c := range casesLine {
		f.Add([]byte(c.line + "\n"))
	}
	f.Add([]byte("SONGS\r\nPLAY \x00\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bufio.NewReaderSize(strings.NewReader(string(data)), messages.MaxLine)
		for range len(data) + 1 {
			line, err := ReadLine(r)
			if errors.Is(err, ErrNotText) {
				continue
			}
			if err != nil {
				return
			}
			m, err := ParseLine(line)
			if err != nil {
				continue
			}
			b, err := AppendLine(nil, m)
			if err != nil {
				t.Fatalf("%q was parsed and cannot be written: %v", line, err)
			}
			if back, err := ParseLine(strings.TrimSuffix(string(b), "\n")); err != nil || !proto.Equal(back, m) {
				t.Fatalf("%q became %q", line, b)
			}
		}
		t.Fatal("more lines than bytes")
	})
}
