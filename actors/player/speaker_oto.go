//go:build (cgo || windows || darwin) && !nospeaker

package player

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/ebitengine/oto/v3"
)

const (
	deviceBuffer = 100 * time.Millisecond
	// playerBuffer is how many bytes oto takes in advance: with less than two periods of the device
	// it plays too slowly.
	playerBuffer = outputRate * bytesPerFrame / 4
	// watchEvery is how often the process checks whether the device still works.
	watchEvery = 200 * time.Millisecond
)

// Speak is the main function of the loudspeaker's process: it asks for frames on out and plays what comes from in,
// until in ends or the device is gone. It writes the reason to out.
func Speak(in io.Reader, out io.Writer) {
	signal.Ignore(os.Interrupt, syscall.SIGHUP, syscall.SIGTERM) // they are for its parent, which then ends in
	r := &otoReader{in: in, out: out, over: make(chan struct{})}
	if err := r.play(); err != nil {
		r.lastWords(err)
	}
}

// otoReader is what oto reads.
type otoReader struct {
	player *oto.Player
	in     io.Reader

	mu   sync.Mutex // guards out, and who speaks last
	out  io.Writer
	done bool
	over chan struct{} // closed when in has ended
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

// noDevice returns why in one line: oto tries a dozen devices, and this keeps the first one's error.
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
	if n == 0 || !r.want(n/bytesPerFrame, r.player.BufferedSize()/bytesPerFrame) {
		clear(p)
		return n, nil
	}
	if _, err := io.ReadFull(r.in, p); err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		if !r.done {
			r.done = true
			close(r.over)
		}
		clear(p)
	}
	return n, nil
}

// want asks for frames. It returns false when the parent no longer answers.
func (r *otoReader) want(frames, waiting int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.done {
		return false
	}
	b := binary.LittleEndian.AppendUint32(nil, uint32(frames))
	_, _ = r.out.Write(binary.LittleEndian.AppendUint32(b, uint32(waiting))) // if it is not heard, no answer comes
	return true
}

func (r *otoReader) lastWords(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done = true
	text := err.Error()
	text = text[:min(len(text), maxWords)]
	b := binary.LittleEndian.AppendUint32(nil, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(text)))
	_, _ = r.out.Write(append(b, text...))
}
