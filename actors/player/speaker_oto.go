//go:build (cgo || windows || darwin) && !nospeaker

package player

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ebitengine/oto/v3"
)

// withALSA tells whether this build plays through oto: on Linux that is ALSA.
const withALSA = true

const (
	deviceBuffer = 100 * time.Millisecond
	// playerBuffer is how many bytes oto takes in advance. With less than two periods of the device
	// it plays too slowly.
	playerBuffer = outputRate * bytesPerFrame / 4
	// otoLatency is the time from oto's queue to the ear, measured with ALSA, because oto
	// does not tell. More than this is a device's offset (Config.Offsets).
	otoLatency = 130 * time.Millisecond
)

// playOto plays through oto: ALSA, WASAPI, Core Audio.
func playOto(f *fetcher) error {
	r := &otoReader{fetcher: f}
	return r.play()
}

// otoReader is what oto reads.
type otoReader struct {
	*fetcher
	player *oto.Player
}

func (r *otoReader) play() error {
	ctx, ready, err := oto.NewContext(&oto.NewContextOptions{
		SampleRate: outputRate, ChannelCount: 2, Format: oto.FormatSignedInt16LE, BufferSize: deviceBuffer,
	})
	if err != nil {
		return noDevice(err)
	}
	<-ready
	if err := ctx.Err(); err != nil { // NewContext does not return it
		return noDevice(err)
	}
	r.opened(otoLatency)
	r.player = ctx.NewPlayer(r) // kept in r: unreferenced, it is collected and goes silent
	r.player.SetBufferSize(playerBuffer)
	r.player.Play()
	watch := time.NewTicker(watchEvery)
	defer watch.Stop()
	for {
		select {
		case <-r.over:
			return nil
		case <-watch.C:
		}
		if err := errors.Join(ctx.Err(), r.player.Err()); err != nil {
			return noDevice(err)
		}
	}
}

// noDevice is the error in one line. oto tries a dozen devices, and noDevice keeps the first one's error.
func noDevice(err error) error {
	reason, _, _ := strings.Cut(err.Error(), ", \"")
	if _, device, found := strings.Cut(reason, "snd_pcm_open: "); found {
		return fmt.Errorf("no sound card can be opened, %s", device)
	}
	return fmt.Errorf("the sound card stopped playing, %s", strings.TrimPrefix(reason, "oto: "))
}

// Read never returns nothing: oto would ask again without end.
func (r *otoReader) Read(p []byte) (int, error) {
	n := min(len(p), blockFrames*bytesPerFrame) / bytesPerFrame * bytesPerFrame
	p = p[:n]
	if n == 0 || !r.fetch(p, r.player.BufferedSize()/bytesPerFrame) {
		clear(p)
	}
	return n, nil
}
