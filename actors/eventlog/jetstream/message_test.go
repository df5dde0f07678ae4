package jetstream

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"pgregory.net/rapid"

	"conga/actors/eventlog"
	"conga/actors/eventlog/storetest"
)

// stored is the stream of a writer that appends rows, now and then dies in between, and comes back.
func stored(t *rapid.T, rows []eventlog.Row) (stream []*message) {
	put := func(parts []part, of int) {
		for i, p := range parts {
			msg, err := p.message("log", i, of, &eventlog.Mark{})
			if err != nil {
				t.Fatal(err)
			}
			m, err := readMessage(&jetstream.RawStreamMsg{Subject: "log", Sequence: uint64(len(stream) + 1), Header: msg.Header, Data: msg.Data})
			if err != nil {
				t.Fatal(err)
			}
			stream = append(stream, m)
		}
	}
	for len(rows) > 0 {
		n := rapid.IntRange(1, len(rows)).Draw(t, "rows")
		parts, err := partsOf(rows[:n], rapid.IntRange(100, 1000).Draw(t, "most"))
		if err != nil {
			t.Fatal(err)
		}
		switch rapid.IntRange(0, 3).Draw(t, "fate") {
		case 0: // it died before the last message
			put(parts[:rapid.IntRange(0, len(parts)-1).Draw(t, "published")], len(parts))
		case 1:
			stream = append(stream, &message{subject: "log", seq: uint64(len(stream) + 1)}) // a message that takes a place
		default:
			put(parts, len(parts))
			rows = rows[n:]
		}
	}
	return stream
}

// From wherever the stream is read, the rows behind are those that were appended, once each and in order.
func TestAssembly_Property(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := storetest.Rows(eventlog.Mark{}, rapid.IntRange(1, 40).Draw(t, "events"))
		for i := range rows {
			rows[i].Data = bytes.Repeat([]byte("x"), rapid.SampledFrom([]int{0, 10, 300, 2000}).Draw(t, "bytes"))
		}
		stream := stored(t, rows)
		var places places
		for _, m := range stream {
			if m.first > 0 {
				places.add(m.first, m.seq)
			}
		}
		after := rapid.Uint64Range(0, uint64(len(rows)-1)).Draw(t, "after")
		from, _ := places.around(after + 1)
		var all assembly
		var got []eventlog.Row
		for _, m := range stream[max(from.seq, 1)-1:] {
			more, err := all.add(m)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range more {
				if r.Seq > after {
					got = append(got, r)
				}
			}
		}
		if !slices.EqualFunc(got, rows[after:], func(a, b eventlog.Row) bool { return fmt.Sprint(a) == fmt.Sprint(b) }) {
			t.Fatalf("behind %d: %d rows of %d, from message %d of %d", after, len(got), len(rows), from.seq, len(stream))
		}
	})
}

// However many messages there are, few are remembered, and they still say where to begin.
func TestPlaces(t *testing.T) {
	var p places
	for i := range uint64(100_000) {
		p.add(3*i+1, 2*i+1)
	}
	if len(p) > maxPlaces || len(p) < maxPlaces/4 {
		t.Errorf("%d places", len(p))
	}
	for _, seq := range []uint64{1, 2, 150_001, 299_999} {
		at, behind := p.around(seq)
		if at.first > seq || at.seq != 2*(at.first/3)+1 || behind != 0 && 3*(behind/2)+1 <= seq {
			t.Errorf("event %d: from %v, before message %d", seq, at, behind)
		}
	}
}
