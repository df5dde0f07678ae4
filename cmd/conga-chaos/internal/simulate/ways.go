package simulate

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// spot is where a host is: a point in a plane, and a height above it. A packet's way from one host to another takes the
// distance between their points and both heights. Dabek, Cox, Kaashoek and Morris, "Vivaldi: A Decentralized Network
// Coordinate System" (SIGCOMM 2004): with such coordinates the round trips between 1740 name servers all over the Internet
// (measured as in Gummadi, Saroiu and Gribble, "King: Estimating Latency between Arbitrary Internet End Hosts", IMW 2002) come
// out right to 11 % in the median. The plane is the Internet's core, a height is an access line. Here the points are normally
// distributed around the middle, the heights exponentially, each accounting for about half of the median. These shares, and the
// median round trip, which is the plan's, are assumptions: listeners are nearer to each other than those name servers.
type spot struct{ x, y, height float64 } // microseconds

// ways draws spots.
type ways struct {
	chance *rand.Rand
	scale  float64
}

// jitter is how much longer than at its best a packet's way takes on average, as a part of that. The excess is distributed
// exponentially.
const jitter = 0.05

func newWays(chance *rand.Rand, roundTrip time.Duration) *ways {
	w := &ways{chance: chance, scale: 1}
	const pairs = 4001
	var trips []float64
	for range pairs {
		trips = append(trips, 2*w.spot().to(w.spot()))
	}
	slices.Sort(trips)
	w.scale = float64(roundTrip.Microseconds()) / trips[pairs/2]
	return w
}

func (w *ways) spot() spot {
	const plane, height = 0.36, 0.3 // of the median; both together make about one
	return spot{w.scale * plane * w.chance.NormFloat64(), w.scale * plane * w.chance.NormFloat64(), w.scale * height * w.chance.ExpFloat64()}
}

// to returns how long a packet takes to the other host, in microseconds.
func (s spot) to(other spot) float64 {
	return (math.Hypot(s.x-other.x, s.y-other.y) + s.height + other.height) / 2
}

// uplink sends one thing after another.
type uplink struct {
	rate float64 // bytes a microsecond; 0: it takes no time
	free int64   // when all that was given to it is sent
}

func newUplink(kbits int) uplink { return uplink{rate: float64(kbits) / 8 / 1000} }

// send returns when so many bytes have been sent that come now.
func (u *uplink) send(now int64, bytes int) int64 {
	if u.rate == 0 {
		return now
	}
	u.free = max(u.free, now) + int64(float64(bytes)/u.rate)
	return u.free
}

// full returns until when no more is written, because the system's buffer is full; 0: there is room.
func (u *uplink) full(now int64) int64 {
	if u.rate == 0 || float64(u.free-now)*u.rate < socketBuffer {
		return 0
	}
	return u.free - int64(socketBuffer/2/u.rate)
}

// socketBuffer is how much the system takes for a listener (transport's streamBuffer).
const socketBuffer = 128 << 10
