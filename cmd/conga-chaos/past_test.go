package main

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"conga/cmd/internal/congatest"
	"conga/cmd/internal/node"
	"conga/messages"
	"conga/messages/chance"
)

// A player hears the past, close behind the present, for minutes, while songs change and are skipped: byte for byte what a
// listener got in the chain, at the speed of the music.
func TestPast_IsWhatAListenerGot(t *testing.T) {
	seed, cuts := chance.Seed(t), map[string]congatest.Cut{}
	for name, cut := range congatest.Short {
		cut.N = 400 + 300*len(cuts)
		cuts[name] = cut
	}
	songs := congatest.Songs(t, cuts)
	synctest.Test(t, func(t *testing.T) {
		random, logger := rand.New(rand.NewPCG(seed, 0)), virtualLogger(t)
		mem := newMemNet()
		origin := newVirtualServer(t, mem, songs, logger.With("node", "server"))
		defer origin.close()
		system := node.NewSystem(logger)
		defer system.Shutdown()
		chain := newVirtualChain(t, system, mem, 1, logger)
		defer chain.close()
		ctx, stop := context.WithCancel(t.Context())
		var recorder tape
		var recording sync.WaitGroup
		recording.Go(func() { recorder.record(ctx, chain.nodes[0]) })
		time.Sleep(40 * time.Second)

		const behind, lasts = 15 * time.Second, 4 * time.Minute
		from := time.Now().Add(-behind)
		home := mem.network()
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) { return home.dial(ctx, addr) }}}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+virtualRequests+"/stream.mp3?at="+from.UTC().Format(time.RFC3339Nano), nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Do(request)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatal(answer, err)
		}
		var got bytes.Buffer
		var player sync.WaitGroup
		player.Go(func() { _, _ = io.Copy(&got, answer.Body) }) // until stop
		skips := 0
		for began := time.Now(); time.Since(began) < lasts; skips++ {
			time.Sleep(time.Duration(random.Int64N(int64(30 * time.Second))))
			origin.on.Say(ctx, "SKIP")
		}
		took := time.Since(from.Add(behind))
		stop()
		player.Wait()
		recording.Wait()
		var want []byte
		var plays time.Duration // what the player got
		recorder.mu.Lock()
		defer recorder.mu.Unlock()
		for _, chunk := range recorder.chunks[beginsAt(recorder.chunks, from.UnixMicro()):] {
			if len(want) < got.Len() {
				want = append(want, chunk.Frames...)
				plays += messages.FrameOffset(int64(chunk.Song.GetFramesPerChunk()), chunk.Song.GetSampleRate())
			}
		}
		t.Logf("%v: %d skips, %d bytes, %v of music", took, skips, got.Len(), plays)
		if same := common(got.Bytes(), want); same < got.Len() {
			t.Errorf("of %d bytes %d are what the listener got", got.Len(), same)
		}
		if plays < took || plays > took+10*time.Second {
			t.Errorf("in %v it got %v of music", took, plays)
		}
	})
}

// beginsAt returns the chunk with which a player begins that asks for the music from a moment on: the first one, but if the sample
// rate changes within the four seconds that it gets at once, the one behind the change.
func beginsAt(chunks []*messages.Item, from int64) int {
	first := slices.IndexFunc(chunks, func(chunk *messages.Item) bool { return chunk.PlayAt() >= from })
	begins := first
	for i := first + 1; i < len(chunks) && chunks[i].PlayAt() <= chunks[first].PlayAt()+(4*time.Second).Microseconds(); i++ {
		if chunks[i].Song.GetSampleRate() != chunks[i-1].Song.GetSampleRate() {
			begins = i
		}
	}
	return begins
}
