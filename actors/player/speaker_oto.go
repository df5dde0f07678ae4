//go:build (cgo || windows || darwin) && !nospeaker

package player

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/ebitengine/oto/v3"
)

const (
	deviceBuffer = 100 * time.Millisecond
	// playerBuffer is what oto takes in advance: under two periods of the device it plays
	// too slowly.
	playerBuffer = outputRate * bytesPerFrame / 4
	// speakerLatency is what lies between oto's queue and the ear, measured with ALSA; oto
	// cannot tell it. What a device has beyond it is Config.DeviceOffset.
	speakerLatency = 130 * time.Millisecond
	// openPatience is how long a sound system may take to open.
	openPatience = 5 * time.Second
	// watchEvery is how soon a vanished device is noticed.
	watchEvery = 200 * time.Millisecond
)

// device is the process's one oto context: there is no second try. It is
// opened by the first Run and used by one at a time.
var device struct {
	mu    sync.Mutex
	inUse bool
	made  bool
	ctx   *oto.Context
	ready <-chan struct{}
	err   error
}

// withSpeaker tells whether this build can play.
const withSpeaker = true

// speaker plays through oto.
type speaker struct{}

func newSpeaker() Output { return speaker{} }

func (speaker) Name() string           { return "speaker" }
func (speaker) Latency() time.Duration { return speakerLatency }

func (speaker) Run(ctx context.Context, feed Feed) error {
	otoCtx, ready, err := takeDevice()
	if err != nil {
		return err
	}
	defer leaveDevice()
	patience := time.NewTimer(openPatience)
	defer patience.Stop()
	select {
	case <-ready:
	case <-patience.C:
		return fmt.Errorf("the sound system did not open within %v: restart it, then conga", openPatience)
	case <-ctx.Done():
		return nil
	}
	if err := otoCtx.Err(); err != nil { // NewContext does not tell
		return noSound(err)
	}
	r := &otoReader{feed: feed}
	r.player = otoCtx.NewPlayer(r) // kept in r: unreferenced, it is collected and goes silent
	r.player.SetBufferSize(playerBuffer)
	r.player.Play()
	defer r.stop()
	watch := time.NewTicker(watchEvery)
	defer watch.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-watch.C:
		}
		if err := errors.Join(otoCtx.Err(), r.player.Err()); err != nil {
			return noSound(err)
		}
	}
}

// noSound says why in one line: of the dozen devices that oto tried, the first.
func noSound(err error) error {
	reason, _, _ := strings.Cut(err.Error(), ", \"")
	return fmt.Errorf("no sound: %s; check the device (aplay -l) and start conga again", reason)
}

func takeDevice() (*oto.Context, <-chan struct{}, error) {
	device.mu.Lock()
	defer device.mu.Unlock()
	if device.inUse {
		return nil, nil, errors.New("the loudspeaker is in use by another player of this process: " +
			"only one of them can have --output speaker")
	}
	if !device.made {
		device.made = true
		device.ctx, device.ready, device.err = oto.NewContext(&oto.NewContextOptions{
			SampleRate: outputRate, ChannelCount: 2, Format: oto.FormatSignedInt16LE, BufferSize: deviceBuffer,
		})
	}
	if device.err != nil {
		return nil, nil, noSound(device.err)
	}
	device.inUse = true
	return device.ctx, device.ready, nil
}

func leaveDevice() {
	device.mu.Lock()
	defer device.mu.Unlock()
	device.inUse = false
}

// otoReader is what oto reads. Its Read never blocks and never returns nothing.
type otoReader struct {
	feed   Feed
	player *oto.Player

	mu      sync.Mutex
	stopped bool
}

func (r *otoReader) Read(p []byte) (int, error) {
	n := min(len(p), blockFrames*bytesPerFrame) / bytesPerFrame * bytesPerFrame
	p = p[:n]
	waiting := r.player.BufferedSize() / bytesPerFrame
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		clear(p)
		return n, nil
	}
	r.feed.Fill(p, waiting)
	return n, nil
}

// stop keeps oto from calling the feed again.
func (r *otoReader) stop() {
	r.player.Pause()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = true
}
