package main

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"conga/cmd/conga-bench/internal/baseline"
	"conga/cmd/conga-bench/internal/crowd"
	"conga/cmd/conga-bench/internal/result"
	"conga/cmd/conga-bench/internal/usage"
	"conga/cmd/internal/cli"
)

// The lines of music that goes through as fast as it can, and of a player.
const (
	catchingUp = "catching up through 10 hops"
	playing    = "decode, resample, keep time"
)

const (
	// catchUpHops is how many hops the music catches up through.
	catchUpHops = 10
	// players is how many listeners play at once: what one of them costs is too little to measure.
	players = 10
)

// catchUp measures how fast music comes through a chain that has fallen behind.
func (b *bench) catchUp(ctx context.Context) error {
	for range b.Rounds {
		w, err := b.worker(ctx)
		if err != nil {
			return err
		}
		var burst crowd.Burst
		err = w.call(ctx, "CatchUp", CatchUpArgs{Songs: b.Songs, Hops: catchUpHops}, &burst)
		w.kill()
		if err != nil {
			return err
		}
		copied, err := baseline.Copy(catchUpHops, burst.Bytes)
		if err != nil {
			return err
		}
		rate := func(took time.Duration) float64 { return float64(burst.Bytes) / 1e6 / took.Seconds() }
		b.result.Add(result.Key{Name: catchingUp, Baseline: ioCopy}, "MB/s", result.More, result.Round{Conga: rate(burst.Took), Base: rate(copied)})
	}
	return nil
}

// decode measures what a listener's ears cost: listeners that play, less as many that only keep books.
func (b *bench) decode(ctx context.Context) error {
	song, err := songIn(b.Songs)
	if err != nil {
		return err
	}
	for range b.Rounds {
		cpu, err := b.playersCPU(ctx)
		if err != nil {
			return err
		}
		alone, err := decodeAlone(song)
		if err != nil {
			return err
		}
		b.result.Add(result.Key{Name: playing, Baseline: goMP3}, "s/s", result.Less, result.Round{Conga: cpu, Base: alone})
	}
	return nil
}

// decodeAlone returns what it costs this process to decode a second of the song.
func decodeAlone(song []byte) (float64, error) {
	before, err := usage.CPU(os.Getpid())
	if err != nil {
		return 0, err
	}
	seconds, err := baseline.Decode(song)
	if err != nil {
		return 0, err
	}
	after, err := usage.CPU(os.Getpid())
	return (after - before).Seconds() / seconds, err
}

// playersCPU returns what it costs one listener more to play than to keep books.
func (b *bench) playersCPU(ctx context.Context) (float64, error) {
	server, stop, err := b.serve(ctx)
	if err != nil {
		return 0, err
	}
	defer stop()
	var heard [2]Heard // of those that keep books, and of those that play
	var all [2]*worker
	for i := range all {
		if all[i], err = b.worker(ctx); err != nil {
			return 0, err
		}
		defer all[i].kill()
		args := JoinArgs{Server: server.ready["requests"], Nodes: players, How: crowd.How{Play: i == 1}, From: i * players}
		if err := all[i].call(ctx, "Join", args, &Times{}); err != nil {
			return 0, err
		}
	}
	if err := cli.Pause(ctx, b.Settle); err != nil {
		return 0, err
	}
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, w := range all {
		wg.Go(func() { errs[i] = w.call(ctx, "Listen", ListenArgs{For: b.For}, &heard[i]) })
	}
	wg.Wait()
	return (heard[1].CPU - heard[0].CPU) / players, errors.Join(errs...)
}
