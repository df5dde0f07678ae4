package clockfilter

import "time"

const (
	// leastPings are quick whatever they say: the clock is known before the first sample is played.
	leastPings = 8
	// goodUs is an error that nobody hears and that no further ping need make smaller.
	goodUs = 100
)

// Pace is how long to wait for the next ping after `asked` on this connection: the worse the network, the
// more of them it takes until some were held up nowhere.
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
