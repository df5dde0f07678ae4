//go:build (!cgo && !windows && !darwin) || nospeaker

package player

import (
	"context"
	"errors"
	"io"
	"time"
)

// withSpeaker tells whether this build can play.
const withSpeaker = false

// speaker is the loudspeaker of a build that has none.
type speaker struct{}

// SpeakerCommand is unused in this build.
const SpeakerCommand = "speaker"

// Speak does nothing in this build.
func Speak(io.Reader, io.Writer) {}

func newSpeaker() Output { return speaker{} }

func (speaker) Name() string           { return "speaker" }
func (speaker) Latency() time.Duration { return 0 }

func (speaker) Run(context.Context, Feed) error {
	return errors.New("no sound, this build of conga has no loudspeaker: install gcc, pkg-config and libasound2-dev, " +
		"and build again with CGO_ENABLED=1 and without -tags nospeaker")
}
