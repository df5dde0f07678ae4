package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"conga/actors/eventlog"
	"conga/actors/eventlog/sqlite"
	"conga/actors/scheduler/queue"
	"conga/cmd/conga-bench/internal/result"
	"conga/messages"

	"google.golang.org/protobuf/proto"
)

// The lines of the event log.
const (
	appendAlone  = "log: append one by one"
	appendGroup  = "log: append, 64 at once"
	replaying    = "log: replay and apply"
	openReplay   = "log: open, no snapshot"
	openSnapshot = "log: open, with a snapshot"
)

const (
	// appendFor is how long appends are measured, and appenders how many there are at once.
	appendFor, appenders = time.Second, 64
	// queueActor is whose state is replayed: a queue of songs, asked for and chosen.
	queueActor = "scheduler"
)

// eventLog measures the event log.
func (b *bench) eventLog(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp(b.Data, "conga-bench-log")
	if err != nil {
		return fmt.Errorf("make a folder for a log: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for round := range b.Rounds {
		if err := b.appends(ctx, filepath.Join(dir, fmt.Sprint(round))); err != nil {
			return err
		}
	}
	large := filepath.Join(dir, "large")
	if err := b.fill(ctx, large); err != nil {
		return fmt.Errorf("make a log of %d events: %w", b.Events, err)
	}
	for range b.Rounds {
		if err := b.replay(ctx, large); err != nil {
			return err
		}
	}
	if err := snapshot(large); err != nil {
		return err
	}
	for range b.Rounds {
		if err := b.openLog(ctx, large, openSnapshot); err != nil {
			return err
		}
	}
	return nil
}

func queued(n int) *messages.SongQueued {
	return &messages.SongQueued{RequestId: fmt.Sprintf("0b9c1f6e-6f3e-4c8e-9a51-%012d", n), ListenerName: "amy", Song: "bach.mp3"}
}

func chosen(n int) *messages.SongChosen {
	return &messages.SongChosen{Song: "bach.mp3", RequestId: queued(n).GetRequestId(), AtUnixUs: 1_800_000_000_000_000 + int64(n)}
}

// openAt opens the log in the folder.
func openAt(dir string) (*eventlog.Log, error) {
	store, err := sqlite.Open(dir)
	if err != nil {
		return nil, err
	}
	log, err := eventlog.Open(store, time.Now)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return log, nil
}

// appends measures how many events a second are appended, by one writer and by many, against a file to which the same
// bytes are appended, with a sync for each event and for each group.
func (b *bench) appends(ctx context.Context, dir string) error {
	log, err := openAt(dir)
	if err != nil {
		return err
	}
	alone, err := appended(ctx, log, 1)
	group := 0.0
	if err == nil {
		group, err = appended(ctx, log, appenders)
	}
	if err := errors.Join(err, log.Close()); err != nil {
		return err
	}
	file := filepath.Join(dir, "plain")
	for _, line := range []struct {
		name  string
		rate  float64
		group int
	}{{appendAlone, alone, 1}, {appendGroup, group, appenders}} {
		plain, err := plainAppends(ctx, file, line.group)
		if err != nil {
			return err
		}
		b.result.Add(result.Key{Name: line.name, Baseline: plainFile}, "events/s", result.More, result.Round{Conga: line.rate, Base: plain})
	}
	return nil
}

// appended returns how many events a second so many writers append, each of which waits for its own.
func appended(ctx context.Context, log *eventlog.Log, writers int) (float64, error) {
	begin, errs, counts := time.Now(), make([]error, writers), make([]int, writers)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for errs[i] == nil && ctx.Err() == nil && time.Since(begin) < appendFor {
				_, errs[i] = log.Append(eventlog.Any, queueActor, nil, queued(counts[i]))
				counts[i]++
			}
		})
	}
	wg.Wait()
	sum := 0
	for _, n := range counts {
		sum += n
	}
	return float64(sum) / time.Since(begin).Seconds(), errors.Join(append(errs, ctx.Err())...)
}

// plainAppends returns how many events a second come into a file, of which so many share a sync.
func plainAppends(ctx context.Context, path string, group int) (rate float64, err error) {
	event, err := proto.Marshal(queued(0))
	if err != nil {
		return 0, err
	}
	file, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(path)) }()
	begin, n := time.Now(), 0
	for ; ctx.Err() == nil && time.Since(begin) < appendFor; n += group {
		for range group {
			if _, err := file.Write(event); err != nil {
				return 0, err
			}
		}
		if err := file.Sync(); err != nil {
			return 0, err
		}
	}
	return float64(n) / time.Since(begin).Seconds(), ctx.Err()
}

// fill makes a large log, in which songs are asked for and chosen in turn.
func (b *bench) fill(ctx context.Context, dir string) error {
	log, err := openAt(dir)
	if err != nil {
		return err
	}
	const commit = 10_000
	for done := 0; done < b.Events && err == nil; err = ctx.Err() {
		var events []proto.Message
		for ; len(events) < commit && done < b.Events; done += 2 {
			events = append(events, queued(done), chosen(done))
		}
		if _, err := log.Append(eventlog.Any, queueActor, nil, events...); err != nil {
			return errors.Join(err, log.Close())
		}
	}
	return errors.Join(err, log.Close())
}

// replay measures how fast the state follows from the log, against reading its rows and doing nothing with them.
func (b *bench) replay(ctx context.Context, dir string) error {
	store, err := sqlite.Open(dir)
	if err != nil {
		return err
	}
	rows, begin := 0, time.Now()
	for ctx.Err() == nil {
		read, err := store.Read(uint64(rows), 1024, eventlog.EventOnly)
		if err != nil {
			return errors.Join(err, store.Close())
		}
		if len(read) == 0 {
			break
		}
		rows += len(read)
	}
	plain := float64(rows) / time.Since(begin).Seconds()
	log, err := eventlog.Open(store, time.Now)
	if err != nil {
		return errors.Join(err, store.Close())
	}
	if err := log.Prove(); err != nil { // once a start, for all actors together
		return errors.Join(err, log.Close())
	}
	begin = time.Now()
	_, err = eventlog.NewKeeper(log, queueActor, queue.State{})
	took := time.Since(begin)
	if err := errors.Join(err, log.Close(), ctx.Err()); err != nil {
		return err
	}
	b.result.Add(result.Key{Name: replaying, Baseline: plainRead}, "events/s", result.More, result.Round{Conga: float64(rows) / took.Seconds(), Base: plain})
	return b.openLog(ctx, dir, openReplay)
}

// openLog measures how long it takes from a closed folder to a state that can decide, against opening the store alone.
func (b *bench) openLog(ctx context.Context, dir, name string) error {
	begin := time.Now()
	store, err := sqlite.Open(dir)
	if err != nil {
		return err
	}
	plain := time.Since(begin)
	if err := errors.Join(store.Close(), ctx.Err()); err != nil {
		return err
	}
	begin = time.Now()
	log, err := openAt(dir)
	if err != nil {
		return err
	}
	_, err = eventlog.NewKeeper(log, queueActor, queue.State{})
	took := time.Since(begin)
	if err := errors.Join(err, log.Close()); err != nil {
		return err
	}
	b.result.Add(result.Key{Name: name, Baseline: plainOpen}, "ms", result.Less, result.Round{Conga: ms(took), Base: ms(plain)})
	return nil
}

// snapshot saves the state at the log's end.
func snapshot(dir string) error {
	log, err := openAt(dir)
	if err != nil {
		return err
	}
	keeper, err := eventlog.NewKeeper(log, queueActor, queue.State{})
	if err == nil {
		err = log.SaveSnapshot(keeper.Seq(), map[string]eventlog.Frozen{queueActor: eventlog.Freeze(keeper.State())})
	}
	return errors.Join(err, log.Close())
}

func ms(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }
