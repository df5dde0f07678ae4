package simulate

import (
	"math"
	"math/rand/v2"
	"time"
)

// churn draws how long listeners stay. That has a heavy tail: Veloso, Almeida, Meira, Bestavros and Jin, "A Hierarchical
// Characterization of a Live Streaming Media Workload" (IMW 2002), find lognormal times for live streams, because
// listeners stick to the programme; Sripanidkulchai, Maggs and Zhang, "An Analysis of Live Streaming Workloads on the
// Internet" (IMC 2004), find heavy tails, too. In other networks of peers, Stutzbach and Rejaie, "Understanding Churn in
// Peer-to-Peer Networks" (IMC 2006), find lognormal or Weibull times, no exponential ones: most who are there will stay for
// long, and most who come go soon. The mean is the plan's. Listeners come independently of each other, as within minutes
// those of the second paper do, so that the number of them stays about the same.
type churn struct {
	chance *rand.Rand
	mu     float64 // of the logarithm of microseconds
}

// sigma is the logarithm's standard deviation, about as in the first paper: the median is then 0.38 of the mean, and one stay
// in ten is longer than 2.3 means.
const sigma = 1.4

func newChurn(chance *rand.Rand, mean time.Duration) churn {
	return churn{chance, math.Log(float64(mean.Microseconds())) - sigma*sigma/2}
}

// stay returns how long somebody stays that comes, in microseconds.
func (c churn) stay() int64 {
	return int64(math.Exp(c.mu + sigma*c.chance.NormFloat64()))
}

// rest returns how much longer somebody stays that is there at a random time: a long stay is met more often, in proportion
// to its length (so its logarithm has the mean mu + sigma²), and at any point in it.
func (c churn) rest() int64 {
	return int64(math.Exp(c.mu+sigma*sigma+sigma*c.chance.NormFloat64()) * c.chance.Float64())
}

// next returns the time until the next one comes if so many come in the mean time of a stay.
func (c churn) next(in time.Duration, many int) int64 {
	return int64(c.chance.ExpFloat64() * float64(in.Microseconds()) / float64(many))
}
