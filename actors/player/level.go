package player

import (
	"math"

	"conga/messages"
)

// maxGain bounds what a song may ask for, in hundredths of a decibel: a peer says it.
const maxGain = 3000

// level is what the samples of a song are multiplied by, so that all songs are about as loud, as its ReplayGain tag says.
// It never makes a sample larger than the largest that there is. A song without a tag stays as it is.
func level(song *messages.SongChange) float64 {
	gain := min(maxGain, max(-maxGain, song.GetGainMb()))
	if gain == 0 {
		return 1
	}
	peak := 1.0 // if the tag does not say; what is above that was cut off by the decoder
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
		pcm[i] = int16(min(math.MaxInt16, max(math.MinInt16, math.Round(float64(s)*factor)))) // a peak may lie
	}
}
