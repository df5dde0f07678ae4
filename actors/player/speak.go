//go:build linux || ((cgo || windows || darwin) && !nospeaker)

package player

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// watchEvery is how soon a vanished device is noticed.
const watchEvery = 200 * time.Millisecond

// errNoSoundServer: there is neither PulseAudio nor PipeWire.
var errNoSoundServer = errors.New("no sound server answers")

// Speak is the main function of a loudspeaker's process. It asks for frames on out and plays what comes from in, until in
// ends or the device is gone. It writes errors to out.
func Speak(in io.Reader, out io.Writer) {
	signal.Ignore(os.Interrupt, syscall.SIGHUP, syscall.SIGTERM) // they are for the parent, which then closes in
	os.Stdout = os.Stderr                                        // a library that prints must not write into out
	f := &fetcher{in: in, out: out, over: make(chan struct{})}
	err := playPulse(f)
	if errors.Is(err, errNoSoundServer) {
		err = playOto(f)
	}
	if err != nil {
		f.lastWords(err)
	}
}

// fetcher gets frames from the parent process. Any goroutine may call its methods.
type fetcher struct {
	in io.Reader

	mu   sync.Mutex // guards out, and which message is the last
	out  io.Writer
	done bool
	over chan struct{} // closed when in has ended
}

// opened tells the parent that the device is open, and the latency from this process to the ear.
func (f *fetcher) opened(latency time.Duration) {
	f.say(ready, uint32(latency.Microseconds()), "")
}

// plays tells the parent which device plays.
func (f *fetcher) plays(device string) {
	device = device[:min(len(device), maxText)]
	f.say(plays, uint32(len(device)), device)
}

// fetch fills p, at most 10 ms; waiting is how many frames wait here. It returns false when the parent no longer answers.
func (f *fetcher) fetch(p []byte, waiting int) bool {
	if !f.say(uint32(len(p)/bytesPerFrame), uint32(waiting), "") {
		return false
	}
	if _, err := io.ReadFull(f.in, p); err != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		if !f.done {
			f.done = true
			close(f.over)
		}
		return false
	}
	return true
}

func (f *fetcher) lastWords(err error) {
	text := err.Error()
	text = text[:min(len(text), maxText)]
	f.say(0, uint32(len(text)), text)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done = true
}

// say writes one message. It returns false after the last one.
func (f *fetcher) say(first, second uint32, text string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done {
		return false
	}
	b := binary.LittleEndian.AppendUint32(nil, first)
	b = binary.LittleEndian.AppendUint32(b, second)
	_, _ = f.out.Write(append(b, text...)) // if the parent is gone, no answer comes
	return true
}
