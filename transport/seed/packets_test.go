package seed

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
)

// pad is text as a whole packet.
func pad(text string) string { return text + strings.Repeat(" ", PacketSize-len(text)) }

// casesPacket serves reading, appending and the fuzzer's seeds.
var casesPacket = []struct {
	name   string
	bytes  string
	packet Packet
	err    error
}{
	{name: "song", bytes: pad("NS/2/88200/176"), packet: Packet{"NS", []string{"2", "88200", "176"}}},
	{name: "host", bytes: pad("HOST/127.0.0.1"), packet: Packet{"HOST", []string{"127.0.0.1"}}},
	{name: "port", bytes: pad("PORT/7002"), packet: Packet{"PORT", []string{"7002"}}},
	{name: "further fields", bytes: pad("PORT/7002/conga/1"), packet: Packet{"PORT", []string{"7002", "conga", "1"}}},
	{name: "empty field", bytes: pad("HOST/"), packet: Packet{"HOST", []string{""}}},
	{name: "full", bytes: "HOST/" + strings.Repeat("h", 95), packet: Packet{"HOST", []string{strings.Repeat("h", 95)}}},
	{name: "end before", bytes: "", err: io.EOF},
	{name: "end inside", bytes: "HOST/127.0.0.1", err: io.ErrUnexpectedEOF},
	{name: "other word", bytes: pad("GET/index.html"), err: ErrPacket},
	{name: "no field", bytes: pad("HOST"), err: ErrPacket},
	{name: "binary", bytes: pad("HOST/\x00\x01"), err: ErrPacket},
	{name: "padded with zeros", bytes: "HOST/a" + strings.Repeat("\x00", 94), err: ErrPacket},
}

func TestReadPacket(t *testing.T) {
	for _, c := range casesPacket {
		t.Run(c.name, func(t *testing.T) {
			p, err := ReadPacket(strings.NewReader(c.bytes))
			if !errors.Is(err, c.err) || c.err == nil && err != nil {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			if !reflect.DeepEqual(p, c.packet) {
				t.Errorf("read %v, want %v", p, c.packet)
			}
		})
	}
}

func TestAppendPacket(t *testing.T) {
	for _, c := range casesPacket {
		if c.err != nil {
			continue
		}
		if got, err := AppendPacket(nil, c.packet); err != nil || string(got) != c.bytes {
			t.Errorf("%s: appended %q, %v", c.name, got, err)
		}
	}
	for name, p := range map[string]Packet{
		"too long":         {"HOST", []string{strings.Repeat("h", 96)}},
		"slash":            {"HOST", []string{"a/b"}},
		"newline":          {"HOST", []string{"a\n"}},
		"no field":         {"HOST", nil},
		"lost in the tail": {"HOST", []string{"a "}},
	} {
		if got, err := AppendPacket(nil, p); !errors.Is(err, ErrPacket) || got != nil {
			t.Errorf("%s: appended %q, %v", name, got, err)
		}
	}
}

func TestJoin(t *testing.T) {
	join := Join{Format: Format{2, 88200, 176}, Host: "192.0.2.7", Port: 7002}
	var b []byte
	for _, p := range join.Packets() {
		var err error
		if b, err = AppendPacket(b, p); err != nil {
			t.Fatal(err)
		}
	}
	want := pad("NS/2/88200/176") + pad("HOST/192.0.2.7") + pad("PORT/7002")
	if string(b) != want {
		t.Fatalf("wrote %q, want %q", b, want)
	}
	if got, err := ReadJoin(bytes.NewReader(b)); err != nil || got != join {
		t.Errorf("read %v, %v", got, err)
	}
	if _, err := ReadJoin(strings.NewReader(want[:200])); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("two packets of three: %v", err)
	}
	for name, text := range map[string]string{
		"other order": pad("HOST/a") + pad("NS/2/88200/176") + pad("PORT/7002"),
		"no rate":     pad("NS/2") + pad("HOST/a") + pad("PORT/7002"),
		"huge rate":   pad("NS/2/99999999999999999999/176") + pad("HOST/a") + pad("PORT/7002"),
		"port 1":      pad("NS/2/88200/176") + pad("HOST/a") + pad("PORT/1"),
		"no host":     pad("NS/2/88200/176") + pad("HOST/") + pad("PORT/7002"),
	} {
		if got, err := ReadJoin(strings.NewReader(text)); !errors.Is(err, ErrPacket) {
			t.Errorf("%s: read %v, %v", name, got, err)
		}
	}
}

func FuzzReadPacket(f *testing.F) {
	for _, c := range casesPacket {
		f.Add([]byte(c.bytes))
	}
	f.Add([]byte(pad("NS/2/88200/176") + pad("HOST/192.0.2.7") + pad("PORT/7002")))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ReadPacket(bytes.NewReader(data))
		if err == nil {
			if back, err := AppendPacket(nil, p); err != nil || !bytes.Equal(back, data[:PacketSize]) {
				t.Fatalf("packet %v comes back as %q, %v", p, back, err)
			}
		}
		if join, err := ReadJoin(bytes.NewReader(data)); err == nil && (join.Host == "" || join.Port < 2) {
			t.Fatalf("nobody can connect to %v", join)
		}
	})
}
