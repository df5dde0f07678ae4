package player

import "math"

const (
	framesPerUs = outputRate / 1e6
	// lineBuckets of lineBucketUs are what a line remembers: two seconds. The queue of
	// a device jumps by whole periods, its maximum over that time does not.
	lineBuckets  = 20
	lineBucketUs = 100_000
)

// line estimates when a device hears a frame, out of how many have left for it so far.
// A device that is never empty takes frames at an even rate, in bursts: the line over
// the tops of the bursts is steady.
type line struct {
	started bool
	zero    int64                // µs, when it was started
	tops    [lineBuckets]float64 // frames beyond the nominal rate, the maximum in each bucket
	last    int64                // the bucket that was written last
}

// observe notes that at `now` (µs) so many frames had left for the device.
func (l *line) observe(now, sent int64) {
	if !l.started {
		*l = line{started: true, zero: now}
		for i := range l.tops {
			l.tops[i] = math.Inf(-1)
		}
	}
	bucket := max(l.last, (now-l.zero)/lineBucketUs) // a clock set back writes on in its last
	for b := max(l.last+1, bucket-lineBuckets+1); b <= bucket; b++ {
		l.tops[b%lineBuckets] = math.Inf(-1)
	}
	l.last = bucket
	top := &l.tops[bucket%lineBuckets]
	*top = max(*top, float64(sent)-float64(now-l.zero)*framesPerUs)
}

// leaves is when frame number n leaves for the device, in µs.
func (l *line) leaves(n int64) int64 {
	top := math.Inf(-1)
	for _, t := range l.tops {
		top = max(top, t)
	}
	return l.zero + int64(math.Round((float64(n)-top)/framesPerUs))
}

const (
	maxPpm = 500 // a pitch change that nobody hears
	// jumpUs is an error too large for steering: it would take minutes.
	jumpUs = 80_000
	// A critically damped loop with a time constant of ten seconds: well beyond the
	// memory of the line, and 200 ppm between two clocks costs it at most 1 ms.
	proportional = 0.2  // ppm for each µs of error, 1/s
	integral     = 0.01 // 1/s²
	smoothingS   = 0.5
	// ignoredUs is an error that nobody hears, and leastPpm a correction that gains nothing. Without them, a
	// listener in time still plays every sample a little beside where the song has it, and records it so.
	ignoredUs = 100
	leastPpm  = 2
)

// steering turns the error of what is heard into a correction of the rate.
type steering struct {
	errorUs float64 // smoothed; positive: heard too late
	drift   float64 // ppm that the two clocks are apart
	ppm     float64
}

// steer takes the error of this moment (µs, positive: too late) and the seconds since
// the last one.
func (s *steering) steer(errorUs, seconds float64) {
	s.errorUs += (errorUs - s.errorUs) * min(1, seconds/smoothingS)
	felt := s.errorUs - max(-ignoredUs, min(ignoredUs, s.errorUs))
	want := proportional*felt + s.drift
	s.ppm = max(-maxPpm, min(maxPpm, want))
	if s.ppm == want { // saturated, it would wind up
		s.drift += integral * felt * seconds
	}
	if math.Abs(s.ppm) < leastPpm {
		s.ppm = 0
	}
}

// jumped forgets the error, which has been corrected at once; the drift stays.
func (s *steering) jumped() {
	s.errorUs, s.ppm = 0, max(-maxPpm, min(maxPpm, s.drift))
}

// moment is a point on the server's clock, so many frames after a base.
type moment struct {
	base   int64 // µs
	frames int64
	rate   int64
}

func (m moment) us() int64 { return m.base + m.frames*1_000_000/m.rate }
