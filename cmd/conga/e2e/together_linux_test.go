package e2e

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

var (
	together       = flag.Duration("together", 0, "how long TestTogether listens; 0: not at all (make together)")
	togetherChain  = flag.Int("together.chain", 2, "length of the chain: its first and its last node are heard")
	togetherSpin   = flag.Int("together.spin", 0, "processors that something else keeps busy")
	togetherStarts = flag.Int("together.starts", 1, "how often all of them start anew")
)

const (
	sinkRate = 44100
	// window is how much sound is compared at a time.
	window = sinkRate / 10
	// most is how many milliseconds apart two may be in the median on any machine: what is measured is told.
	most = 5
	// settled is from when on after joining the figures count.
	settled = 2 * time.Second
)

// TestTogether: two listeners play through loudspeakers with one clock, and both are recorded. It says by how much
// the second is behind the first (in milliseconds, negative: ahead).
func TestTogether(t *testing.T) {
	if *together == 0 {
		t.Skip("real sound in real time: make together")
	}
	startSinks(t)
	keepBusy(t)
	server := launchServer(t, filepath.Join("..", "..", "..", "songs"), t.TempDir())
	var all []float64
	for start := range *togetherStarts {
		first := joinLoud(t, server, "first", "left")
		var between []*process
		for n := range *togetherChain - 2 {
			between = append(between, launchListener(t, server, fmt.Sprintf("n%d", n)).awaitReady(t, listenerReady))
		}
		first.hears(t)
		recorded := record(t)
		last := joinLoud(t, server, "last", "right")
		time.Sleep(*together) // it is the length of a measurement
		sound := recorded()
		for _, p := range append(between, first, last) {
			p.kill()
		}
		skews, from := compareSides(sound)
		t.Logf("start %d: heard %.2f s after the recording began; %s", start+1, float64(from)/sinkRate, byTens(skews))
		all = append(all, skews[min(len(skews), int(settled.Seconds()*sinkRate/window)):]...)
	}
	t.Logf("from %v after joining: %s (load %s)", settled, quantiles(all), load())
	if m := median(all); !(math.Abs(m) < most) {
		t.Errorf("%.3f ms apart, that is an echo", m)
	}
}

// startSinks starts a private PulseAudio with one paced sink of four channels, the two left ones for the sink
// "left", the others for "right".
func startSinks(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	socket, alsa := filepath.Join(dir, "pulse.sock"), filepath.Join(dir, "alsa.conf")
	if err := os.WriteFile(alsa, []byte("pcm.!default { type pulse }\nctl.!default { type pulse }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"HOME": dir, "XDG_RUNTIME_DIR": dir, "XDG_CONFIG_HOME": dir, "PULSE_SERVER": "unix:" + socket, "ALSA_CONFIG_PATH": alsa,
	} {
		t.Setenv(name, value)
	}
	side := func(name, channels string) string {
		return fmt.Sprintf("--load=module-remap-sink sink_name=%s master=all channels=2 master_channel_map=%s channel_map=front-left,front-right remix=no", name, channels)
	}
	pulse := exec.Command("pulseaudio", "-n", "--system=false", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1", "--log-level=error",
		"--load=module-null-sink sink_name=all rate=44100 channels=4 channel_map=front-left,front-right,rear-left,rear-right norewinds=1",
		side("left", "front-left,front-right"), side("right", "rear-left,rear-right"),
		"--load=module-native-protocol-unix auth-anonymous=1 socket="+socket)
	pulse.Stderr = os.Stderr
	if err := pulse.Start(); err != nil {
		t.Fatalf("%v: apt-get install pulseaudio pulseaudio-utils libasound2-plugins", err)
	}
	t.Cleanup(func() { _ = pulse.Process.Kill(); _ = pulse.Wait() })
	eventually(t, "PulseAudio answers", func() string {
		if out, err := exec.Command("pactl", "list", "short", "sinks").CombinedOutput(); err != nil || !strings.Contains(string(out), "right") {
			return string(out)
		}
		return ""
	})
}

// joinLoud joins with a loudspeaker that plays to the sink.
func joinLoud(t *testing.T, server *process, name, sink string) *process {
	t.Helper()
	return launchOn(t, name, func(c *exec.Cmd) { c.Env = append(c.Env, "PULSE_SINK="+sink) },
		"join", server.requests(), "--name", name, "--output", "speaker", "--listen", "127.0.0.1:0").awaitReady(t, listenerReady)
}

// record records all four channels until the returned function is called.
func record(t *testing.T) (stop func() []byte) {
	t.Helper()
	var sound bytes.Buffer
	parec := exec.Command("parec", "--device=all.monitor", "--rate=44100", "--channels=4", "--format=s16le", "--raw", "--no-remix",
		"--channel-map=front-left,front-right,rear-left,rear-right")
	parec.Stdout = &sound
	if err := parec.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = parec.Process.Kill() })
	eventually(t, "the recording begins", func() string {
		out, err := exec.Command("pactl", "list", "short", "source-outputs").Output()
		if err != nil || len(out) == 0 {
			return fmt.Sprint("not yet: ", err)
		}
		return ""
	})
	return func() []byte {
		_ = parec.Process.Signal(syscall.SIGINT)
		_ = parec.Wait()
		return sound.Bytes()
	}
}

// compareSides is by how many milliseconds the right side is behind the left, for each window from where
// the right begins. Windows that are too quiet to tell are NaN, silence on the right side +Inf.
func compareSides(sound []byte) (skews []float64, from int) {
	var left, right []float64
	for ; len(sound) >= 8; sound = sound[8:] {
		sample := func(at int) float64 { return float64(int16(binary.LittleEndian.Uint16(sound[at:]))) }
		left, right = append(left, sample(0)), append(right, sample(4))
	}
	from = slices.IndexFunc(right, func(s float64) bool { return math.Abs(s) > 100 })
	if from < 0 {
		return nil, len(right)
	}
	lag := 0.0
	for at := from; at+window < len(right); at += window {
		piece := right[at : at+window]
		if energy(piece) < 1e6 {
			skews = append(skews, math.NaN())
			continue
		}
		found, like := match(left, piece, at, at-int(math.Round(lag)), 100)
		if like < 0.98 {
			found, like = match(left, piece, at, at, 60*sinkRate/1000)
		}
		if like < 0.9 {
			skews = append(skews, math.Inf(1))
			continue
		}
		lag = float64(at) - found
		skews = append(skews, lag/sinkRate*1000)
	}
	return skews, from
}

// match is where in `in` the piece is, within `most` samples around a place, between samples, and how much alike.
func match(in, piece []float64, at, around, most int) (found, like float64) {
	likeness := func(lag int) float64 {
		if lag < 0 || lag+len(piece) > len(in) {
			return 0
		}
		var xy, xx float64
		other := in[lag : lag+len(piece)]
		for i, x := range piece {
			xy += x * other[i]
			xx += other[i] * other[i]
		}
		return xy / math.Sqrt(xx*energy(piece)+1)
	}
	best := around
	for lag := around - most; lag <= around+most; lag++ {
		if l := likeness(lag); l > like {
			best, like = lag, l
		}
	}
	before, after := likeness(best-1), likeness(best+1)
	if bend := before - 2*like + after; bend < 0 {
		return float64(best) + (before-after)/2/bend, like
	}
	return float64(best), like
}

func energy(piece []float64) (sum float64) {
	for _, x := range piece {
		sum += x * x
	}
	return sum
}

// byTens is the median of each ten seconds.
func byTens(skews []float64) string {
	var out []string
	for part := range slices.Chunk(skews, 100) {
		out = append(out, fmt.Sprintf("%+.2f", median(part)))
	}
	return strings.Join(out, " ")
}

func median(skews []float64) float64 {
	heard := slices.DeleteFunc(slices.Clone(skews), math.IsNaN)
	if len(heard) == 0 {
		return math.NaN()
	}
	slices.Sort(heard)
	return heard[len(heard)/2]
}

func quantiles(skews []float64) string {
	var off []float64
	for _, s := range skews {
		if !math.IsNaN(s) {
			off = append(off, math.Abs(s))
		}
	}
	if len(off) == 0 {
		return "nothing was heard"
	}
	slices.Sort(off)
	at := func(q float64) float64 { return off[int(q*float64(len(off)-1))] }
	return fmt.Sprintf("median %.3f, p90 %.3f, p99 %.3f, most %.3f ms in %d windows", at(0.5), at(0.9), at(0.99), at(1), len(off))
}

func load() string {
	text, _ := os.ReadFile("/proc/loadavg")
	one, _, _ := strings.Cut(string(text), " ")
	return one
}
