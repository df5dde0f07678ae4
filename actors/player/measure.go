package player

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

var errEarlier = errors.New("the clock was set back")

// Arrival is when clicks were heard.
type Arrival struct {
	Late   time.Duration // the median; less than 0: early
	Spread time.Duration // half of the clicks are not further from it
	Clicks int
}

const (
	// measured is how long a microphone listens; leastClicks of those must be alike within mostSpread.
	measured    = 9 * time.Second
	leastClicks = 5
	mostSpread  = 3 * time.Millisecond
	// likeClick is how much like a click what is heard must be: an echo in a room leaves less of it than a cable.
	likeClick = 0.35
)

// recordedSound is what a microphone heard: one channel, and when its first sample was at the microphone, in µs on
// the server's clock.
type recordedSound struct {
	pcm     []float64
	beganUs float64
}

// Measure listens to this machine's microphone while clicks are played, and returns how late they are. now is the
// server's clock. Its errors say what to do.
func Measure(ctx context.Context, now func() int64) (Arrival, error) {
	sound, err := listenTo(ctx, now, measured)
	if err != nil {
		return Arrival{}, err
	}
	return clicksIn(sound)
}

// clicksIn finds the clicks.
func clicksIn(sound recordedSound) (Arrival, error) {
	var late []float64 // µs
	const whole = 1_000_000
	for second := math.Ceil(sound.beganUs/whole+0.5) * whole; ; second += whole {
		from := int((second - whole/2 - sound.beganUs) * framesPerUs)
		if from+outputRate+clickFrames > len(sound.pcm) {
			break
		}
		at, like := loudestClick(sound.pcm[from : from+outputRate+clickFrames])
		if like >= likeClick {
			late = append(late, sound.beganUs+(float64(from)+at)/framesPerUs-second)
		}
	}
	if len(late) < leastClicks {
		return Arrival{}, fmt.Errorf("the microphone hears %d clicks in %v: turn the loudspeaker up, or move the microphone closer", len(late), measured)
	}
	slices.Sort(late)
	median := late[len(late)/2]
	var off []float64
	for _, l := range late {
		off = append(off, math.Abs(l-median))
	}
	slices.Sort(off)
	a := Arrival{Late: micros(median), Spread: micros(off[len(off)/2]), Clicks: len(late)}
	if a.Spread > mostSpread {
		return a, fmt.Errorf("the clicks come %.1f ms apart from each other: is it quiet in the room, and does only one loudspeaker click?", a.Spread.Seconds()*1000)
	}
	return a, nil
}

func micros(us float64) time.Duration { return time.Duration(us * float64(time.Microsecond)) }

// loudestClick is where in the sound the clearest click begins, between samples, and how much like one it is: 1 is
// the same.
func loudestClick(pcm []float64) (at, like float64) {
	shape := click()
	var own float64
	for _, s := range shape {
		own += float64(s) * float64(s)
	}
	same := make([]float64, len(pcm)-clickFrames)
	var energy, loudest float64
	for _, s := range pcm[:clickFrames] {
		energy += s * s
	}
	best := 0
	for i := range same {
		var sum float64
		for n, s := range shape {
			sum += pcm[i+n] * float64(s)
		}
		same[i] = sum
		if sum > loudest {
			loudest, best, like = sum, i, sum/math.Sqrt(own*energy+1)
		}
		energy += pcm[i+clickFrames]*pcm[i+clickFrames] - pcm[i]*pcm[i]
	}
	at = float64(best)
	if best > 0 && best < len(same)-1 {
		if bend := same[best-1] - 2*same[best] + same[best+1]; bend < 0 {
			at += (same[best-1] - same[best+1]) / 2 / bend
		}
	}
	return at, like
}
