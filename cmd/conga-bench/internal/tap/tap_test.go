package tap

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"conga/messages"

	"pgregory.net/rapid"
)

func frame(kind messages.Kind, payload []byte) []byte {
	return append(fmt.Appendf(nil, "%s%-4d", kind, len(payload)), payload...)
}

// However the bytes of a stream are cut into reads, each chunk has the time of the read with its last byte, and all bytes
// and those of mp3 are counted.
func TestParser_Property(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var stream []byte
		ends := map[uint64]int{} // of the chunks, in the stream
		music := map[uint64]int{}
		number := uint64(rapid.IntRange(1, 1<<40).Draw(t, "number"))
		for range rapid.IntRange(1, 20).Draw(t, "frames") {
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				stream = append(stream, frame(messages.KindHeartbeat, make([]byte, rapid.IntRange(0, 8).Draw(t, "stamp")))...)
			case 1:
				stream = append(stream, frame(messages.KindSeal, make([]byte, rapid.IntRange(1, 300).Draw(t, "seal")))...)
			default:
				mp3 := make([]byte, rapid.IntRange(1, 3000).Draw(t, "music"))
				stream = append(stream, frame(messages.KindChunk, messages.NewChunk(number, rapid.Int64Range(0, 1<<20).Draw(t, "first"), mp3).Payload)...)
				ends[number], music[number] = len(stream), len(mp3)
				number++
			}
		}
		notes := New()
		notes.Begin()
		p := parser{notes: notes, addr: "a:1"}
		origin := time.Unix(0, 0)
		var reads []int // where each ends
		for at := 0; at < len(stream); {
			n := min(rapid.IntRange(1, 2500).Draw(t, "read"), len(stream)-at)
			p.take(stream[at:at+n], origin.Add(time.Duration(at+n)))
			at += n
			reads = append(reads, at)
		}
		got := notes.End()
		if len(got) != len(ends) {
			t.Fatalf("%d chunks are noted, %d came", len(got), len(ends))
		}
		for n, at := range got {
			with := reads[slices.IndexFunc(reads, func(end int) bool { return end >= ends[n] })]
			if at.Sub(origin) != time.Duration(with) {
				t.Fatalf("chunk %d ends at byte %d and was noted at %v, not with the read that ended at %d", n, ends[n], at.Sub(origin), with)
			}
		}
		if len(ends) == 0 {
			return
		}
		order := slices.Sorted(maps.Keys(ends))
		wantMusic := 0
		for _, n := range order[1:] {
			wantMusic += music[n]
		}
		bytes, gotMusic, chunks := notes.Traffic()
		if want := ends[order[len(order)-1]] - ends[order[0]]; bytes != want || gotMusic != wantMusic || chunks != len(order)-1 {
			t.Fatalf("%d bytes, %d of mp3, %d chunks; want %d, %d, %d", bytes, gotMusic, chunks, want, wantMusic, len(order)-1)
		}
	})
}

// A tap says who feeds the node, and when it turned to another, and notes nothing before it is told to, nor what is no
// stream.
func TestNotes(t *testing.T) {
	notes := New()
	chunk := func(number uint64) []byte {
		return frame(messages.KindChunk, messages.NewChunk(number, 0, []byte{1}).Payload)
	}
	at := func(s int64) time.Time { return time.Unix(s, 0) }
	fed := func(by string, since, turned time.Time) {
		t.Helper()
		if from, when := notes.From(), notes.Turned(since); from != by || !when.Equal(turned) {
			t.Errorf("fed by %s, and since %v it turned at %v; want %s, %v", from, since, when, by, turned)
		}
	}
	first := parser{notes: notes, addr: "first:1"}
	first.take(frame(messages.KindHi, []byte{1}), at(7))
	fed("first:1", at(6), at(7))
	first.take(chunk(5), at(8))
	if got := notes.End(); len(got) != 0 {
		t.Errorf("before Begin it noted %v", got)
	}
	if first, err := notes.First(t.Context()); err != nil || !first.Equal(at(8)) {
		t.Errorf("the first chunk came at %v: %v", first, err)
	}
	second, third := parser{notes: notes, addr: "second:2"}, parser{notes: notes, addr: "third:3"}
	second.take([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), at(9))
	second.take(frame(messages.KindHi, nil), at(9))
	third.take(frame(messages.KindHi, nil), at(10)) // both are only asked
	fed("first:1", at(9), at(10))
	second.take(chunk(5), at(11))
	first.take(chunk(6), at(12))
	fed("first:1", at(10), time.Time{})
	third.take(chunk(7), at(13)) // had answered before
	fed("third:3", at(12), at(13))
}
