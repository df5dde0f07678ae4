package player

import (
	"math"

	"conga/messages"
)

// maxGain bounds a song's gain, in hundredths of a decibel, because it comes from a peer.
const maxGain = 3000

// level is the factor for a song's samples, by its ReplayGain tag, so that all songs are about equally loud. It never
// makes a sample clip. A song without a tag stays as it is.
func level(song *messages.SongChange) float64 {
	gain := min(maxGain, max(-maxGain, song.GetGainMb()))
	if gain == 0 {
		return 1
	}
	peak := 1.0 // if the tag does not say; the decoder clips what is above
	if said := song.GetPeakPermille(); said > 0 && said < 1000 {
		peak = float64(said) / 1000
	}
	return min(math.Pow(10, float64(gain)/2000), 1/peak)
}

// scale multiplies samples.
func scale(pcm []int16, factor float64) {
	if factor == 1 {
		return
	}
	for i, s := range pcm {
		pcm[i] = int16(min(math.MaxInt16, max(math.MinInt16, math.Round(float64(s)*factor)))) // the tag's peak may be wrong
	}
}
