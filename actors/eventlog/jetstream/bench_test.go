package jetstream

import (
	"testing"

	"conga/actors/eventlog"
	"conga/actors/eventlog/natstest"
	"conga/actors/eventlog/storetest"
)

// One event, acknowledged by most of three servers.
func BenchmarkAppend(b *testing.B) {
	servers := natstest.Start(b, 3)
	s := open(b, Config{URL: servers.URL(), Radio: radio()})
	at := eventlog.Mark{}
	for b.Loop() {
		rows := storetest.Rows(at, 1)
		if err := s.Append(at.Seq, rows); err != nil {
			b.Fatal(err)
		}
		at = rows[0].Mark()
	}
}

// Two pages of a log that was written event by event.
func BenchmarkRead(b *testing.B) {
	servers := natstest.Start(b, 3)
	s := open(b, Config{URL: servers.URL(), Radio: radio()})
	rows := storetest.Rows(eventlog.Mark{}, 2048)
	for i := range rows {
		if err := s.Append(uint64(i), rows[i:i+1]); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		for after := uint64(0); after < 2048; after += 1024 {
			if got, err := s.Read(after, 1024, eventlog.Whole); err != nil || len(got) != 1024 {
				b.Fatal(len(got), err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/2048, "ns/event")
}
