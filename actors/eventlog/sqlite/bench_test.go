package sqlite

import (
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"conga/actors/eventlog"
	"conga/actors/eventlog/storetest"
	"conga/messages"
)

// benchEvents is how many events the large logs of the benchmarks have.
func benchEvents() int {
	if testing.Short() {
		return 100_000
	}
	return 1_000_000
}

func BenchmarkAppend_OneByOne(b *testing.B) {
	log := storetest.Open(b, openAt(b, b.TempDir()))
	for b.Loop() {
		if _, err := log.Append(eventlog.Any, "scheduler", nil, storetest.Queued("bach.mp3")); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// 64 goroutines, each of which waits for its own event.
func BenchmarkAppend_Groups(b *testing.B) {
	log := storetest.Open(b, openAt(b, b.TempDir()))
	const writers = 64
	b.ResetTimer()
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for range (b.N + writers - 1 - i) / writers {
				if _, err := log.Append(eventlog.Any, "scheduler", nil, storetest.Queued("bach.mp3")); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// 64 keepers that decide and commit at once, and so conflict.
func BenchmarkCommit_Groups(b *testing.B) {
	log := storetest.Open(b, openAt(b, b.TempDir()))
	const writers = 64
	var keepers []*eventlog.Keeper[storetest.Queue]
	for range writers {
		keepers = append(keepers, storetest.Keeper(b, log, storetest.Queue{}))
	}
	b.ResetTimer()
	var wg sync.WaitGroup
	for i, k := range keepers {
		wg.Go(func() {
			for n := range (b.N + writers - 1 - i) / writers {
				var cmd proto.Message = &messages.RequestPlay{Wish: string(rune('a' + n%26))}
				if n%2 == 1 {
					cmd = &messages.ChooseSong{}
				}
				if _, err := k.Commit(cmd); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commands/s")
}

// large makes a log of n events, in which songs are queued and chosen in turn.
func large(b *testing.B, n int) (dir string) {
	dir = b.TempDir()
	log := storetest.Open(b, openAt(b, dir))
	for done := 0; done < n; {
		var events []proto.Message
		for range min(10_000, n-done) / 2 {
			events = append(events,
				&messages.SongQueued{RequestId: "0b9c1f6e-6f3e-4c8e-9a51-6f2d9b0f3f10", ListenerName: "amy", Song: "bach.mp3"},
				&messages.SongChosen{Song: "bach.mp3", RequestId: "0b9c1f6e-6f3e-4c8e-9a51-6f2d9b0f3f10", AtUnixUs: 1_800_000_000_000_000})
		}
		if _, err := log.Append(eventlog.Any, "scheduler", nil, events...); err != nil {
			b.Fatal(err)
		}
		done += len(events)
	}
	if err := log.Close(); err != nil {
		b.Fatal(err)
	}
	return dir
}

// plainRead reads the rows and does nothing with them.
func plainRead(b *testing.B, store eventlog.Store, n int) time.Duration {
	start := time.Now()
	for seq := 0; seq < n; {
		rows, err := store.Read(uint64(seq), 1024, eventlog.EventOnly)
		if err != nil || len(rows) == 0 {
			b.Fatal(err)
		}
		seq += len(rows)
	}
	return time.Since(start)
}

// A replay with apply of a large log, against a plain read of the same rows.
func BenchmarkReplay(b *testing.B) {
	n := benchEvents()
	dir := large(b, n)
	store := openAt(b, dir)
	log := storetest.Open(b, store)
	var read time.Duration
	for b.Loop() {
		b.StopTimer()
		read += plainRead(b, store, n)
		b.StartTimer()
		if k := storetest.Keeper(b, log, storetest.Queue{}); k.State().Played != n/2 {
			b.Fatalf("played %d", k.State().Played)
		}
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(b.Elapsed().Seconds()/read.Seconds(), "x-plain-read")
}

// Deciders alone: what Apply costs without a log.
func BenchmarkApply(b *testing.B) {
	queued, chosen := storetest.Queued("bach.mp3"), &messages.SongChosen{Song: "bach.mp3"}
	q := storetest.Queue{}
	for b.Loop() {
		q = eventlog.Replay(q, queued, chosen)
	}
	b.ReportMetric(float64(2*b.N)/b.Elapsed().Seconds(), "events/s")
}

// From a closed data folder to a state that can decide: with a snapshot, and without.
func BenchmarkOpen(b *testing.B) {
	n := benchEvents()
	dir := large(b, n)
	for _, snapshot := range []bool{false, true} {
		name := "replay"
		if snapshot {
			name = "snapshot"
			log := storetest.Open(b, openAt(b, dir))
			state := eventlog.Freeze(storetest.Keeper(b, log, storetest.Queue{}).State())
			if err := log.SaveSnapshot(uint64(n), map[string]eventlog.Frozen{"queue": state}); err != nil {
				b.Fatal(err)
			}
			if err := log.Close(); err != nil {
				b.Fatal(err)
			}
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				log := storetest.Open(b, openAt(b, dir))
				k, err := eventlog.NewKeeper(log, "queue", storetest.Queue{})
				if err != nil || k.State().Played != n/2 {
					b.Fatal(err)
				}
				b.StopTimer()
				if err := log.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(b.Elapsed().Seconds()*1000/float64(b.N), "ms/open")
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	n := benchEvents()
	log := storetest.Open(b, openAt(b, large(b, n)))
	for b.Loop() {
		if checked, err := log.Verify(b.Context()); err != nil || checked != uint64(n) {
			b.Fatal(checked, err)
		}
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "events/s")
}
