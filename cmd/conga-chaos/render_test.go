package main

import (
	"bytes"
	"context"
	"flag"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"conga/actors/eventlog/export"
	"conga/actors/eventlog/sqlite"
	"conga/cmd/internal/cli"
	"conga/cmd/internal/congatest"
	"conga/cmd/internal/logbook"
	"conga/cmd/internal/node"
	"conga/messages"
	"conga/messages/chance"
	"conga/messages/raced"
)

var renderFor = flag.Duration("render.for", time.Duration(raced.Size(10, 3))*time.Minute, "how long TestRender_IsWhatAListenerGot records, in virtual time")

// tape is the chunks that a node's window got, in their order.
type tape struct {
	mu     sync.Mutex
	chunks []*messages.Item
}

func (r *tape) record(ctx context.Context, v *inner) {
	cursor := v.node.Client.Open(&messages.OpenStream{Next: 1})
	defer cursor.Close()
	for {
		item, err := cursor.Next(ctx)
		if err != nil {
			return
		}
		if item.Change == nil {
			r.mu.Lock()
			r.chunks = append(r.chunks, item)
			r.mu.Unlock()
		}
	}
}

// heard is what was recorded and has been heard by now.
func (r *tape) heard(now time.Time) (music []byte, from, to time.Time, songs map[int32]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	songs = map[int32]bool{}
	for _, chunk := range r.chunks {
		if at := chunk.PlayAt(); at < now.UnixMicro() {
			music, to = append(music, chunk.Frames...), time.UnixMicro(at+1)
			songs[chunk.Song.GetSampleRate()] = true
		}
	}
	return music, time.UnixMicro(r.chunks[0].PlayAt()), to, songs
}

// A listener at the end of a chain records what it gets, while songs of several sample rates change, some are skipped, and the
// server starts again and again. conga log render makes the same of the server's log and its songs, byte for byte.
func TestRender_IsWhatAListenerGot(t *testing.T) {
	seed, cuts := chance.Seed(t), map[string]congatest.Cut{}
	for name, cut := range congatest.Short {
		cut.N = 400 + 300*len(cuts) // 10 to 26 seconds
		cuts[name] = cut
	}
	songs, dir := congatest.Songs(t, cuts), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		random, logger := rand.New(rand.NewPCG(seed, 0)), virtualLogger(t)
		mem := newMemNet()
		origin := newVirtualServer(t, mem, songs, logger.With("node", "server"))
		defer origin.close()
		system := node.NewSystem(logger)
		defer system.Shutdown()
		chain := newVirtualChain(t, system, mem, 3, logger)
		defer chain.close()
		ctx, stop := context.WithCancel(t.Context())
		var recorder tape
		var recording sync.WaitGroup
		recording.Go(func() { recorder.record(ctx, chain.nodes[2]) })
		skips, restarts := 0, 0
		for began := time.Now(); time.Since(began) < *renderFor; {
			time.Sleep(time.Duration(random.Int64N(int64(time.Minute))))
			if random.IntN(2) == 0 {
				origin.on.Say(ctx, "SKIP")
				skips++
			} else if err := origin.restart(ctx, time.Duration(random.Int64N(int64(8*time.Second)))); err != nil {
				t.Fatal(err)
			} else {
				restarts++
			}
		}
		time.Sleep(10 * time.Second)
		want, from, to, rates := recorder.heard(time.Now())
		stop()
		recording.Wait()
		store, err := sqlite.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := export.Import(store, origin.on.Log.Since(0)); err != nil {
			t.Fatal(err)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		file, said := filepath.Join(dir, "out.mp3"), &bytes.Buffer{}
		var log logbook.Command
		log.Render.Data, log.Render.Songs, log.Render.File = dir, songs, file
		log.Render.From, log.Render.To = from.Format(time.RFC3339Nano), to.Format(time.RFC3339Nano)
		if err := log.Render.Run(t.Context(), &cli.Streams{Out: said, Err: io.Discard}); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%v: %d skips, %d restarts, %d bytes recorded at %d sample rates; %s", to.Sub(from), skips, restarts, len(want), len(rates), said)
		if !bytes.Equal(got, want) || len(rates) < 2 {
			t.Errorf("the file has %d bytes, the listener got %d, of which %d are the same", len(got), len(want), common(got, want))
		}
	})
}

// common is how many bytes are the same at the beginning.
func common(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
