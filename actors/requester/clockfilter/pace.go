package clockfilter

import "time"

const (
	// leastPings are sent quickly whatever they say, so that the clock is known before the first sample is played.
	leastPings = 8
	// goodUs is an error that nobody hears. Below it pings need not be quick.
	goodUs = 100
)

// Pace is how long to wait before the next ping, after this many on the connection. On a bad network it takes more
// pings until some of them were not held up.
func Pace(e Estimate, asked int) time.Duration {
	bad := e.Pings == 0 || e.ErrorUs+e.SkewError*1e6 > goodUs
	switch {
	case asked < leastPings || bad && asked < 130:
		return 30 * time.Millisecond
	case bad && asked < 400:
		return 100 * time.Millisecond
	case bad:
		return 500 * time.Millisecond
	}
	return time.Second
}
