//go:build (cgo || windows || darwin) && !linux && !nospeaker

package player

// playPulse fails, because other systems have no such server.
func playPulse(*fetcher) error { return errNoSoundServer }
