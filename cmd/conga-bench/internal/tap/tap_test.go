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

// A tap says whom the newest stream is from, and notes nothing before it is told to, nor what is no stream.
func TestNotes(t *testing.T) {
	notes := New()
	p := parser{notes: notes, addr: "first:1"}
	at := time.Unix(7, 0)
	p.take(frame(messages.KindHi, []byte{1}), at)
	p.take(frame(messages.KindChunk, messages.NewChunk(5, 0, []byte{1}).Payload), at)
	if got := notes.End(); len(got) != 0 {
		t.Errorf("before Begin it noted %v", got)
	}
	if first, err := notes.First(t.Context()); err != nil || !first.Equal(at) {
		t.Errorf("the first chunk came at %v: %v", first, err)
	}
	if from, when := notes.From(); from != "first:1" || !when.Equal(at) {
		t.Errorf("the stream is from %s since %v", from, when)
	}
	other := parser{notes: notes, addr: "second:2"}
	other.take([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), at)
	other.take(frame(messages.KindHi, nil), at.Add(time.Second))
	again := parser{notes: notes, addr: "third:3"}
	again.take(frame(messages.KindHi, nil), at.Add(time.Second))
	if from, _ := notes.From(); from != "third:3" {
		t.Errorf("the newest stream is from %s", from)
	}
}
