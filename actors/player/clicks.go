package player

import (
	"context"
	"math"
	"sync"
	"time"

	"conga/messages"
)

const (
	clickFrames = outputRate / 100
	// clickAhead is how long before its time a second is given to the decoder.
	clickAhead = time.Second
	clickSong  = "click"
)

// click is a rising tone of 10 ms: ears take it for a click, and a recording shows to a part of a sample where it is.
var click = sync.OnceValue(func() []int16 {
	pcm := make([]int16, clickFrames)
	for i := range pcm {
		t := float64(i) / outputRate
		fade := math.Sin(math.Pi * float64(i) / clickFrames)
		pcm[i] = int16(math.Round(20000 * fade * math.Sin(2*math.Pi*(1000+300_000*t)*t)))
	}
	return pcm
})

// Clicks is a broadcast that needs no server: a click at each full second of its clock, so that all who listen to it
// click at the same moment.
func Clicks(now func() int64) Source {
	first := now() / 1_000_000 * 1_000_000
	return &clicking{now: now, song: &messages.SongChange{
		Number: 1, Song: clickSong, Title: "a click at each full second", SampleRate: outputRate, PlayAtUnixUs: first,
		Frames: 1 << 40, FramesPerChunk: clickChunk,
	}}
}

// clickChunk frames of mp3 are as long as a chunk of Clicks.
const clickChunk = 4

type clicking struct {
	now  func() int64
	song *messages.SongChange
	next int64 // chunk
}

// Next waits until it is nearly time for the next chunk. If the clock was set, it goes on from there.
func (c *clicking) Next(ctx context.Context) (*messages.Item, error) {
	for {
		item := &messages.Item{Number: uint64(c.next) + 2, FirstFrame: c.next * clickChunk, Song: c.song}
		wait := time.Duration(item.PlayAt()-c.now())*time.Microsecond - clickAhead
		if wait < -2*clickAhead || wait > clickAhead {
			if now := c.now() - c.song.GetPlayAtUnixUs(); now >= 0 {
				c.next = now * outputRate / (clickChunk * samples * 1_000_000)
			} else { // before its beginning: another one
				return nil, errEarlier
			}
			continue
		}
		select {
		case <-time.After(wait):
			c.next++
			return item, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// ClickSamples are the samples of an item of Clicks.
func ClickSamples(item *messages.Item) []int16 {
	pcm := make([]int16, 2*clickChunk*samples)
	at := item.FirstFrame * samples
	for i := range int64(clickChunk * samples) {
		if n := (at + i) % outputRate; n < clickFrames {
			pcm[2*i], pcm[2*i+1] = click()[n], click()[n]
		}
	}
	return pcm
}
