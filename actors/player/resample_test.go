package player

import (
	"fmt"
	"math"
	"testing"
)

// tone resamples two seconds of a sine, `block` input frames at a time.
//
//go:norace
func tone(rate int, hz, ppm float64, block int) []float64 {
	step := float64(rate) / outputRate * (1 + ppm/1e6)
	var r resampler
	r.restart(rate, 0)
	out := make([]byte, 4*outputRate)
	var heard []float64
	pcm := make([]int16, 2*block)
	for at := 0; at < 2*rate; at += block {
		for i := range block {
			s := int16(math.Round(30000 * math.Sin(2*math.Pi*hz*float64(at+i)/float64(rate))))
			pcm[2*i], pcm[2*i+1] = s, -s
		}
		r.append(pcm)
		n := r.produce(out, step)
		heard = append(heard, left(toSamples(out[:n*bytesPerFrame]))...)
	}
	return heard
}

// snr fits a sine of the expected frequency and compares it with what is left, in dB.
//
//go:norace
func snr(heard []float64, hz float64) float64 {
	heard = heard[2000 : len(heard)-2000]
	var ss, sc, cc, hs, hc, hh float64
	for i, h := range heard {
		s, c := math.Sincos(2 * math.Pi * hz * float64(i) / outputRate)
		ss, sc, cc = ss+s*s, sc+s*c, cc+c*c
		hs, hc, hh = hs+h*s, hc+h*c, hh+h*h
	}
	det := ss*cc - sc*sc
	a, b := (hs*cc-hc*sc)/det, (hc*ss-hs*sc)/det
	signal := a*hs + b*hc
	return 10 * math.Log10(signal/(hh-signal))
}

func TestResampler_SNR(t *testing.T) {
	for _, c := range []struct {
		rate int
		ppm  float64
		most float64
	}{{48000, 0, 15000}, {48000, 200, 15000}, {44100, 0, 15000}, {44100, 37, 15000}, {32000, -500, 11000}} {
		for _, hz := range []float64{100, 997, 5000, 10000, c.most} {
			t.Run(fmt.Sprintf("%d Hz of %d at %+.0f ppm", int(hz), c.rate, c.ppm), func(t *testing.T) {
				heard := tone(c.rate, hz, c.ppm, 1152)
				if db := snr(heard, hz*(1+c.ppm/1e6)); db < 80 {
					t.Errorf("%.1f dB", db)
				}
			})
		}
	}
}

func TestResampler_BlocksDoNotMatter(t *testing.T) {
	whole, pieces := tone(48000, 440, 123, 4800), tone(48000, 440, 123, 7)
	for i := range min(len(whole), len(pieces)) {
		if whole[i] != pieces[i] && math.Abs(whole[i]-pieces[i]) > 1 {
			t.Fatalf("frame %d: %v in one piece, %v in small ones", i, whole[i], pieces[i])
		}
	}
	if d := len(whole) - len(pieces); d < -7 || d > 7 {
		t.Errorf("%d and %d frames", len(whole), len(pieces))
	}
}

// A step makes no click: from sample to sample there is no more difference than in the sound itself, but for
// what the crossfade adds, which is below that.
func TestResampler_Step(t *testing.T) {
	const hz, amplitude = 997.0, 20000.0
	for _, frames := range []int{-3528, -882, -45, 45, 882, 3528} {
		var r resampler
		r.restart(44100, 0)
		at, out := 0, []float64(nil)
		block := make([]byte, blockFrames*bytesPerFrame)
		for n := range 40 {
			if n == 20 && !r.step(frames) {
				t.Fatalf("no step of %d frames", frames)
			}
			for need := r.need(blockFrames, 1); need > 0; need-- {
				s := int16(math.Round(amplitude * math.Sin(2*math.Pi*hz*float64(at)/outputRate)))
				r.append([]int16{s, s})
				at++
			}
			if got := r.produce(block, 1); got != blockFrames {
				t.Fatalf("%d frames of %d", got, blockFrames)
			}
			out = append(out, left(toSamples(block))...)
		}
		own := amplitude * 2 * math.Pi * hz / outputRate
		added := 2 * amplitude * math.Pi / 2 / fadeFrames
		for i := blockFrames; i < len(out)-1; i++ {
			if d := math.Abs(out[i+1] - out[i]); d > own+added+2 {
				t.Errorf("step of %d frames: a difference of %.0f, the sound has %.0f", frames, d, own)
				break
			}
		}
		// After it the sound is where it should be.
		for i := 25 * blockFrames; i < len(out); i++ {
			if want := amplitude * math.Sin(2*math.Pi*hz*float64(i+frames)/outputRate); math.Abs(out[i]-want) > 2 {
				t.Fatalf("step of %d frames: frame %d is %.0f, want %.0f", frames, i, out[i], want)
			}
		}
	}
}

func TestResampler_PassesLevel(t *testing.T) {
	for _, rate := range []int{32000, 44100, 48000} {
		for _, hz := range []float64{50, 10000} {
			if p := peak(tone(rate, hz, 0, 1000)[3000:]); math.Abs(p-30000) > 300 {
				t.Errorf("%d Hz of %d: peak %.0f of 30000", int(hz), rate, p)
			}
		}
	}
}

func BenchmarkResampler(b *testing.B) {
	var r resampler
	r.restart(48000, 0)
	pcm := make([]int16, 2*480)
	out := make([]byte, blockFrames*bytesPerFrame)
	for b.Loop() {
		r.append(pcm)
		r.produce(out, 48000.0/outputRate)
	}
	b.ReportMetric(float64(b.N)*0.01/b.Elapsed().Seconds(), "x-realtime")
}

func BenchmarkDecode(b *testing.B) {
	items := broadcast(b, 0, load(b, "bach.mp3", 44100, 10))
	d := decoder{make: goMP3}
	n := 0
	for b.Loop() {
		if _, err := d.decode(items[n%len(items)], 0); err != nil {
			b.Fatal(err)
		}
		n++
	}
	b.ReportMetric(float64(n)*4*samples/outputRate/b.Elapsed().Seconds(), "x-realtime")
}
