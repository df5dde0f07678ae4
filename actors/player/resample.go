package player

import (
	"encoding/binary"
	"math"
	"sync"
)

// The filter is a windowed sinc in 256 phases with linear interpolation between them:
// 90 dB, and a ratio that may change with every block.
const (
	taps   = 16 // on each side of the centre
	phases = 256
	beta   = 8.96 // Kaiser window of 90 dB
)

type kernel [phases + 1][2 * taps]float32

// kernels computes each rate's filter once. The transition band is centred on the lower of
// the two Nyquist frequencies.
var kernels = map[int]func() *kernel{
	32000: sync.OnceValue(func() *kernel { return newKernel(32000) }),
	44100: sync.OnceValue(func() *kernel { return newKernel(44100) }),
	48000: sync.OnceValue(func() *kernel { return newKernel(48000) }),
}

func newKernel(rate int) *kernel {
	cutoff := min(1, float64(outputRate)/float64(rate))
	k := &kernel{}
	for p := range k {
		frac := float64(p) / phases
		var row [2 * taps]float64
		var sum float64
		for i := range row {
			x := float64(i-(taps-1)) - frac // distance of tap i from the centre
			row[i] = cutoff * sinc(cutoff*x) * kaiser(x/taps)
			sum += row[i]
		}
		for i := range row {
			k[p][i] = float32(row[i] / sum) // so that every phase has the same DC gain
		}
	}
	return k
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	return math.Sin(math.Pi*x) / (math.Pi * x)
}

func kaiser(x float64) float64 {
	if x <= -1 || x >= 1 {
		return 0
	}
	return bessel(beta*math.Sqrt(1-x*x)) / bessel(beta)
}

// bessel is the modified Bessel function I0.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > 1e-12*sum; k++ {
		term *= (x / (2 * k)) * (x / (2 * k))
		sum += term
	}
	return sum
}

const (
	// fadeFrames is how long the two sides of a step are mixed: 10 ms.
	fadeFrames = outputRate / 100
	// history is how many frames are kept for a step back: 85 ms at least.
	history = 4096
)

// resampler turns frames of one rate into frames of outputRate. Frames are appended to
// its end and read at pos, which lies between them; it is continuous however they come.
type resampler struct {
	rate int
	k    *kernel
	in   []float32 // left and right interleaved
	pos  float64   // the centre of the next output frame, in frames of in
	end  int       // frames of music in `in`, after which there are only zeros. -1: open
	// After a step, the sound before it goes on at old for fade more frames, and is faded out.
	old  float64
	fade int
}

// restart begins at another rate without earlier frames. The first output frame is
// `ahead` input frames after the first that will be appended.
func (r *resampler) restart(rate int, ahead float64) {
	in := r.in[:0]
	for range 2 * (taps - 1) {
		in = append(in, 0)
	}
	*r = resampler{rate: rate, k: kernels[rate](), in: in, pos: taps - 1 + ahead, end: -1}
}

func (r *resampler) frames() int { return len(r.in) / 2 }

// need returns how many frames must be appended to produce n frames at this step.
func (r *resampler) need(n int, step float64) int {
	furthest := r.pos
	if r.fade > 0 {
		furthest = max(r.pos, r.old)
	}
	return int(furthest+float64(n-1)*step) + taps + 1 - r.frames()
}

// step moves the place of reading this many input frames forward (back, if negative), and crossfades. It returns false if
// that cannot be done now.
func (r *resampler) step(frames int) bool {
	if r.fade > 0 || r.end >= 0 || int(r.pos)+frames < taps {
		return false
	}
	r.old, r.fade = r.pos, fadeFrames
	r.pos += float64(frames)
	return true
}

func (r *resampler) append(pcm []int16) {
	for _, s := range pcm {
		r.in = append(r.in, float32(s))
	}
}

func (r *resampler) silence(frames int) {
	for range 2 * frames {
		r.in = append(r.in, 0)
	}
}

// finish lets the music end where it is now.
func (r *resampler) finish() {
	r.end = r.frames()
	r.silence(taps + 1)
}

// produce writes frames into out until it is full or the input is used up, and returns
// how many.
func (r *resampler) produce(out []byte, step float64) int {
	n, limit := 0, float64(r.frames()-taps)
	if r.end >= 0 {
		limit = float64(r.end)
	}
	for ; n < len(out)/bytesPerFrame && r.pos < limit; n++ {
		left, right := r.at(r.pos)
		if r.fade > 0 && int(r.old)+taps < r.frames() {
			before := float32(0.5 - 0.5*math.Cos(math.Pi*float64(r.fade)/(fadeFrames+1)))
			l, rt := r.at(r.old)
			left, right = left+before*(l-left), right+before*(rt-right)
			r.old += step
			r.fade--
		} else {
			r.fade = 0
		}
		binary.LittleEndian.PutUint16(out[n*bytesPerFrame:], uint16(clip(left)))
		binary.LittleEndian.PutUint16(out[n*bytesPerFrame+2:], uint16(clip(right)))
		r.pos += step
	}
	r.drop()
	return n
}

// at is the sound at a place between frames. It only computes, which takes ten times as long if the race detector looks on:
// that sees what produce does.
//
//go:norace
func (r *resampler) at(pos float64) (left, right float32) {
	i := int(pos)
	phase := (pos - float64(i)) * phases
	p := int(phase)
	f := float32(phase - float64(p))
	a, b := &r.k[p], &r.k[p+1]
	in := r.in[2*(i-taps+1):][:4*taps]
	for t := range a {
		c := a[t] + f*(b[t]-a[t])
		left += c * in[2*t]
		right += c * in[2*t+1]
	}
	return left, right
}

// drop forgets frames that neither further output frames nor a step back can reach.
func (r *resampler) drop() {
	first := r.pos
	if r.fade > 0 {
		first = min(r.pos, r.old)
	}
	old := min(int(first)-taps+1, r.frames()) - history
	if r.end >= 0 {
		old = min(old, r.end)
	}
	if old < history {
		return // it is done once for many blocks
	}
	if r.end >= 0 {
		r.end -= old
	}
	r.in = r.in[:copy(r.in, r.in[2*old:])]
	r.pos -= float64(old)
	r.old -= float64(old)
}

func clip(x float32) int16 {
	return int16(math.Round(float64(max(-32768, min(32767, x)))))
}
