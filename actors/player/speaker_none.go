//go:build !linux && ((!cgo && !windows && !darwin) || nospeaker)

package player

import (
	"context"
	"errors"
	"io"
	"time"
)

// withSpeaker tells whether this build can play, withALSA whether it does so through oto.
const withSpeaker, withALSA = false, false

// speaker is the loudspeaker of a build that has none.
type speaker struct{}

// SpeakerCommand is unused in this build.
const SpeakerCommand = "speaker"

// Speak does nothing in this build.
func Speak(io.Reader, io.Writer) {}

func newSpeaker(...string) Output { return speaker{} }

func (speaker) Name() string           { return "speaker" }
func (speaker) Latency() time.Duration { return 0 }

func (speaker) Run(context.Context, Feed) error {
	return errors.New("no sound, this build of conga has no loudspeaker: build it with CGO_ENABLED=1 and without -tags nospeaker")
}
