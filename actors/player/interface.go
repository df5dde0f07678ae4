package player

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The format of all outputs: 16-bit little-endian, left and right interleaved.
const (
	outputRate    = 44100
	bytesPerFrame = 4
	blockFrames   = outputRate / 100 // the most an output takes at a time: 10 ms
)

// Output is a place where frames are heard, or a substitute.
type Output interface {
	// Name is the spec that ParseOutput takes for it.
	Name() string
	// Latency is the time from when a frame no longer counts as waiting (Feed.Fill) until it is
	// heard. It does not change.
	Latency() time.Duration
	// Run pulls frames from feed as fast as they are heard, at least five times a second. It
	// returns nil when ctx ends, or an error that says what to do when the output can no longer
	// play. It calls feed from one goroutine at a time, and never after it has returned. It may be
	// called again after it has returned, but not twice at the same time.
	Run(ctx context.Context, feed Feed) error
}

// Device is an Output that may be absent and come later, like a sound card. The player goes on without
// sound meanwhile, and tries again and again to open it.
type Device interface {
	Output
	// Open returns the opened device, as an Output whose Run must be called once, or an error that says what to do. It
	// blocks for some seconds at most, and not beyond the end of ctx.
	Open(ctx context.Context) (Output, error)
}

// Feed is what an Output pulls from.
type Feed interface {
	// Fill fills p with whole frames, at most 10 ms of them; without music, with silence. It never
	// blocks. waiting is the number of frames that go to the device before these: those that were
	// filled and have not left, and the output's own delay.
	Fill(p []byte, waiting int)
	// Say reports trouble that does not stop the output. Any goroutine may call it, at any time.
	Say(trouble string)
	// Plays says which device plays, before the first Fill and when that changes. An output without a choice of
	// devices need not call it.
	Plays(device string)
}

// ParseOutput returns the output that spec names: speaker, null, none or wav:FILE.
func ParseOutput(spec string) (Output, error) {
	switch kind, file, _ := strings.Cut(spec, ":"); {
	case spec == "speaker":
		return newSpeaker(), nil
	case spec == "null":
		return null{}, nil
	case spec == "none":
		return none{}, nil
	case kind == "wav" && file != "":
		info, err := os.Stat(filepath.Dir(file))
		if err != nil {
			return nil, fmt.Errorf("output %s: its folder must exist: %w", spec, err)
		}
		switch here, err := os.Stat(file); {
		case !info.IsDir() || err == nil && here.IsDir():
			return nil, fmt.Errorf("output %s: name a file, not a folder", spec)
		case err == nil && here.Mode().IsRegular() && here.Size() > 0:
			return nil, fmt.Errorf("output %s: %s exists: name another file, or remove it first", spec, file)
		}
		return &wav{path: file}, nil
	case kind == "wav":
		return nil, errors.New("output wav: name the file, as in wav:recording.wav")
	}
	return nil, fmt.Errorf("output %q: choose speaker, null, none or wav:FILE", spec)
}
