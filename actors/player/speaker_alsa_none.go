//go:build linux && (!cgo || nospeaker)

package player

import "errors"

const withALSA = false

// playOto is for builds with ALSA.
func playOto(*fetcher) error {
	return errors.New("neither PulseAudio nor PipeWire answers, and this build of conga knows no other loudspeaker: start one of them, " +
		"or install gcc, pkg-config and libasound2-dev and build again with CGO_ENABLED=1")
}
