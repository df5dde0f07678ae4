package main

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"conga/actors/eventlog/natstest"
	"conga/cmd/internal/cli"
	"conga/cmd/internal/congatest"
	"conga/messages"
	"conga/transport"

	"google.golang.org/protobuf/proto"
)

// A short trial with real processes. What is heard in time, and whether a takeover is enough, depends on what else this machine
// does; nothing else does.
func TestServers_Short(t *testing.T) {
	t.Parallel() // it waits
	c := &serversCmd{Nodes: 6, Processes: 1, Times: 1, Kinds: []string{"kill"}, Seed: 1, Slack: 4 * time.Second, Songs: congatest.Songs(t, congatest.Short)}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	v, err := c.perform(t.Context(), nodePrograms{builtConga(t), io.Discard}, nodePrograms{natstest.Program(t), io.Discard}, t.TempDir(), t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	var table bytes.Buffer
	v.show(&table)
	t.Log(table.String())
	v.total.underruns = 0
	if v.listeners != c.Nodes || !v.total.whole() {
		t.Errorf("%d listeners: %s", v.listeners, &v.total)
	}
	if broken := append(v.both, v.lost...); len(broken) > 0 {
		t.Error(strings.Join(broken, "\n"))
	}
}

func TestServers_Flags(t *testing.T) {
	for _, c := range []struct{ flags, says string }{
		{"--nodes 1", "from 2 to"},
		{"--times 0", "from 1 to"},
		{"--kinds quake", "quake is not one of kill"},
		{"--processes 50", "fewer than --nodes"},
		{"--slack 1200ms", "--slack 1.2s"},
	} {
		var out bytes.Buffer
		code := chaosProgram().Run(t.Context(), append([]string{"servers"}, strings.Fields(c.flags)...), strings.NewReader(""), &out, &out)
		if code != cli.Usage || !strings.Contains(out.String(), c.says) {
			t.Errorf("%s: exit %d, %s", c.flags, code, out.String())
		}
	}
}

// at is a time in a trial.
func at(ms int) time.Time { return time.UnixMilli(int64(ms)) }

func TestHandovers(t *testing.T) {
	given := []item{{at(0), 0, 7, 1}, {at(100), 0, 7, 2}, {at(3100), 1, 9, 3}, {at(3200), 1, 9, 4}}
	all, late := handovers(given)
	if want := []handover{{at(100), at(3100)}}; !slices.Equal(all, want) || len(late) > 0 {
		t.Errorf("%v, %v", all, late)
	}
	given = append(given, item{at(3300), 0, 7, 3}, item{at(3400), 1, 9, 5}, item{at(6000), 0, 12, 6})
	if all, late = handovers(given); len(all) != 2 || len(late) != 1 || !strings.Contains(late[0], "item 3 in epoch 7, 200ms after") {
		t.Errorf("%v, %q", all, late)
	}
	for end, want := range map[int]time.Duration{6100: 3 * time.Second, 9500: 3500 * time.Millisecond} {
		if longest := pause(given, at(end)); longest != want {
			t.Errorf("until %d ms the longest pause is %v, want %v", end, longest, want)
		}
	}
}

// Frames may come in pieces of any size.
func TestTap(t *testing.T) {
	hi, err := proto.Marshal(&messages.StreamOpened{Epoch: 7})
	if err != nil {
		t.Fatal(err)
	}
	var stream []byte
	for _, f := range []transport.Frame{{Kind: messages.KindHi, Payload: hi}, {Kind: messages.KindChunk, Payload: []byte("\x05\x00music")}, {Kind: messages.KindHeartbeat}, {Kind: messages.KindChunk, Payload: []byte("\x06\x00music")}} {
		if stream, err = transport.AppendFrame(stream, f); err != nil {
			t.Fatal(err)
		}
	}
	for size := 1; size <= len(stream); size++ {
		seen := newTap()
		conn := &tapped{tap: seen, server: 1}
		for n, piece := range slices.Collect(slices.Chunk(stream, size)) {
			conn.see(at(n), piece)
		}
		items := seen.between(at(0), at(len(stream)+1))
		if len(items) != 2 || items[0].epoch != 7 || items[0].number != 5 || items[1].number != 6 || items[1].server != 1 {
			t.Fatalf("in pieces of %d: %v", size, items)
		}
	}
}

func TestLostOf(t *testing.T) {
	kept := []request{{"a.mp3", at(0), at(100)}, {"b.mp3", at(5000), at(5100)}, {"a.mp3", at(9000), at(9100)}}
	logged := func(song string, ms int) request { return request{song: song, confirmed: at(ms)} }
	for _, c := range []struct {
		name string
		log  []request
		lost int
	}{
		{"all", []request{logged("a.mp3", 50), logged("b.mp3", 5050), logged("a.mp3", 9050)}, 0},
		{"with one that was not answered", []request{logged("a.mp3", 50), logged("a.mp3", 4000), logged("b.mp3", 5050), logged("a.mp3", 9050)}, 0},
		{"one event is not two requests", []request{logged("a.mp3", 50), logged("b.mp3", 5050)}, 1},
		{"another song", []request{logged("a.mp3", 50), logged("a.mp3", 5050), logged("a.mp3", 9050)}, 1},
		{"long before", []request{logged("a.mp3", 50), logged("a.mp3", 70), logged("b.mp3", 5050)}, 1},
		{"nothing", nil, 3},
	} {
		if lost := lostOf(kept, c.log); len(lost) != c.lost {
			t.Errorf("%s: %v", c.name, lost)
		}
	}
}

func TestSaying(t *testing.T) {
	s := &saying{}
	for _, c := range []struct {
		says  string
		leads bool
	}{
		{"level=INFO msg=\"this server stands by\"\nlevel=INFO msg=\"this server le", false},
		{"ads\" epoch=7\n", true},
		{"level=INFO msg=\"this server has all songs of the radio\" songs=0\n", true},
		{"level=WARN msg=\"this server leads no longer\"\n", false},
	} {
		if fmt.Fprint(s, c.says); s.leads() != c.leads {
			t.Errorf("after %q it leads: %v", c.says, s.leads())
		}
	}
	if s.stocked() {
		t.Error("without songs it has all")
	}
	if fmt.Fprint(s, "level=INFO msg=\"this server has all songs of the radio\" songs=3\n"); !s.stocked() {
		t.Error("it has all, and nobody knows")
	}
}
