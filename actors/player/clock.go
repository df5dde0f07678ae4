package player

import "math"

const (
	framesPerUs = outputRate / 1e6
	// A line remembers lineBuckets of lineBucketUs: two seconds. The queue of a device jumps by
	// whole periods; its maximum over that time does not.
	lineBuckets  = 20
	lineBucketUs = 100_000
	// startUs is how long a device is not observed at first, because it takes frames before it begins to play them.
	// After that a line must have seen it full once; settleUs is the time until then.
	startUs, settleUs = 200_000, 300_000
)

// line estimates when a frame leaves for the device, from how many have left so far. A
// device that is never empty takes frames at an even rate, in bursts: a line through the tops
// of the bursts is steady.
type line struct {
	started bool
	starts  int64                // µs for which the device is not observed at first
	zero    int64                // µs, when it was started
	tops    [lineBuckets]float64 // frames beyond the nominal rate, the maximum in each bucket
	last    int64                // the bucket that was written last
}

// observe records that at `now` (µs) this many frames had left for the device.
func (l *line) observe(now, sent int64) {
	if !l.started {
		*l = line{started: true, starts: l.starts, zero: now}
		for i := range l.tops {
			l.tops[i] = math.Inf(-1)
		}
	}
	if now-l.zero < l.starts {
		return
	}
	bucket := max(l.last, (now-l.zero)/lineBucketUs) // if the clock was set back, the last bucket is used
	for b := max(l.last+1, bucket-lineBuckets+1); b <= bucket; b++ {
		l.tops[b%lineBuckets] = math.Inf(-1)
	}
	l.last = bucket
	top := &l.tops[bucket%lineBuckets]
	*top = max(*top, float64(sent)-float64(now-l.zero)*framesPerUs)
}

// settled says whether it was observed for long enough.
func (l *line) settled(now int64) bool {
	return l.started && (l.starts == 0 || now-l.zero >= settleUs)
}

// leaves is when frame number n leaves for the device, in µs; far in the future, if the device was not observed yet.
func (l *line) leaves(n int64) int64 {
	top := math.Inf(-1)
	for _, t := range l.tops {
		top = max(top, t)
	}
	if math.IsInf(top, -1) {
		return math.MaxInt64 / 2
	}
	return l.zero + int64(math.Round((float64(n)-top)/framesPerUs))
}

const (
	// maxDriftPpm is how far apart the rates of two devices can be, and maxFixPpm the correction of an error on top
	// of that. Nobody hears such a change of pitch.
	maxDriftPpm, maxFixPpm = 300, 150
	// jumpUs is an error for which the sound is cut: too large for a step.
	jumpUs = 80_000
	// stepUs is the smallest error that is corrected at once, by a crossfade, because steering would take a
	// minute. youngStepUs is the same for sound that has just begun.
	stepUs, youngStepUs = 3000, 100
	youngS              = 4
	// surelyS is how long an error must have been seen before a step.
	surelyS = 0.4
	// A critically damped loop with a time constant of ten seconds: well beyond the
	// memory of the line, and 200 ppm between two clocks costs it at most 1 ms.
	proportional = 0.2  // ppm for each µs of error, 1/s
	integral     = 0.01 // 1/s²
	smoothingS   = 0.5
	// ignoredUs is an error that nobody hears, and leastPpm the smallest correction. Without them a listener that is in
	// time would still resample every sample a little, also in a recording.
	ignoredUs = 30
	leastPpm  = 2
)

// steering turns the error of what is heard into a correction of the rate, or into a step.
type steering struct {
	errorUs float64 // smoothed; positive: heard too late
	drift   float64 // difference between the two clocks' rates, in ppm
	ppm     float64
	ageS    float64 // how long the sound has gone on
	seenS   float64 // how long errorUs was smoothed
	doubts  bool    // the error is large, and is being measured anew
}

// steer takes the present error (µs, positive: too late) and the seconds since the last call.
func (s *steering) steer(errorUs, seconds float64) {
	s.ageS += seconds
	s.seenS += seconds
	s.errorUs += (errorUs - s.errorUs) * min(1, max(seconds/smoothingS, seconds/s.seenS))
	felt := s.errorUs - max(-ignoredUs, min(ignoredUs, s.errorUs))
	fix := max(-maxFixPpm, min(maxFixPpm, proportional*felt))
	s.drift = max(-maxDriftPpm, min(maxDriftPpm, s.drift+integral/proportional*fix*seconds))
	s.ppm = s.drift + fix
	if math.Abs(s.ppm) < leastPpm {
		s.ppm = 0
	}
}

// step is how far the sound should be moved at once, in µs; 0: not at all.
func (s *steering) step() float64 {
	most := float64(stepUs)
	if s.ageS < youngS {
		most = youngStepUs
	}
	switch {
	case math.Abs(s.errorUs) < most:
		s.doubts = false
	case !s.doubts:
		s.doubts, s.seenS = true, 0
	case s.seenS >= surelyS:
		return s.errorUs
	}
	return 0
}

// corrected forgets the error, which was just corrected, but not the drift.
func (s *steering) corrected() {
	s.errorUs, s.seenS, s.doubts, s.ppm = 0, 0, false, s.drift
}

// moment is a point on the server's clock: a number of frames after a base.
type moment struct {
	base   int64 // µs
	frames int64
	rate   int64
}

func (m moment) us() int64 { return m.base + m.frames*1_000_000/m.rate }
