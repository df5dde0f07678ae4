package e2e

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"conga/actors/player"
	"conga/cmd/internal/keys"
	"conga/cmd/internal/node"
	"conga/messages"
)

const sinkRate = 44100

// sides are sinks of two channels each; together they are the sink "all". The sink "coarse" is apart: a recorder that takes
// large bites makes its whole sink take them.
var sides = []string{"left", "right", "third"}

// startSinks starts a private PulseAudio with paced sinks.
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
	const channels = "front-left,front-right,rear-left,rear-right,side-left,side-right"
	side := func(name, channels string) string {
		return fmt.Sprintf("--load=module-remap-sink sink_name=%s master=all channels=2 master_channel_map=%s channel_map=front-left,front-right remix=no", name, channels)
	}
	pulse := exec.Command("pulseaudio", "-n", "--system=false", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1", "--log-level=error",
		"--load=module-null-sink sink_name=all rate=44100 channels=6 channel_map="+channels+" norewinds=1",
		side("left", "front-left,front-right"), side("right", "rear-left,rear-right"), side("third", "side-left,side-right"),
		"--load=module-null-sink sink_name=coarse rate=44100 channels=2 norewinds=1",
		"--load=module-native-protocol-unix auth-anonymous=1 socket="+socket)
	pulse.Stderr = os.Stderr
	if err := pulse.Start(); err != nil {
		t.Fatalf("%v: apt-get install pulseaudio pulseaudio-utils libasound2-plugins", err)
	}
	t.Cleanup(func() { _ = pulse.Process.Kill(); _ = pulse.Wait() })
	eventually(t, "PulseAudio answers", func() string {
		if out, err := exec.Command("pactl", "list", "short", "sinks").CombinedOutput(); err != nil || !strings.Contains(string(out), "coarse") {
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

// tape is what a recorder has written so far.
type tape struct {
	channels int
	end      func()

	mu    sync.Mutex
	sound []byte
	more  chan struct{} // closed at the next write
}

// record records a source with so many channels until stop is called.
func record(t *testing.T, source string, channels int, more ...string) *tape {
	t.Helper()
	r := &tape{channels: channels, more: make(chan struct{})}
	parec := exec.Command("parec", append([]string{"--device=" + source, "--rate=44100", fmt.Sprint("--channels=", channels), "--format=s16le", "--raw", "--no-remix"}, more...)...)
	if channels == 6 {
		parec.Args = append(parec.Args, "--channel-map=front-left,front-right,rear-left,rear-right,side-left,side-right")
	}
	parec.Stdout = r
	if err := parec.Start(); err != nil {
		t.Fatal(err)
	}
	r.end = sync.OnceFunc(func() { _ = parec.Process.Signal(syscall.SIGINT); _ = parec.Wait() })
	t.Cleanup(func() { _ = parec.Process.Kill(); r.end() })
	eventually(t, "the recording begins", func() string {
		out, err := exec.Command("pactl", "list", "short", "source-outputs").Output()
		if err != nil || len(out) == 0 {
			return fmt.Sprint("not yet: ", err)
		}
		return ""
	})
	return r
}

// Write is the recorder's.
func (r *tape) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sound = append(r.sound, p...)
	close(r.more)
	r.more = make(chan struct{})
	return len(p), nil
}

func (r *tape) now() (sound []byte, more <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sound, r.more
}

func (r *tape) lasts(sound []byte) time.Duration {
	return time.Duration(len(sound)/(2*r.channels)) * time.Second / sinkRate
}

func (r *tape) recorded() time.Duration {
	sound, _ := r.now()
	return r.lasts(sound)
}

// await waits until so much is recorded. A sink that gives nothing for a while stands still.
func (r *tape) await(t *testing.T, until time.Duration) {
	t.Helper()
	r.awaitThat(t, func(sound []byte) bool { return r.lasts(sound) >= until })
}

// awaitSound waits until something is heard on the channel.
func (r *tape) awaitSound(t *testing.T, channel int) {
	t.Helper()
	looked := 0
	r.awaitThat(t, func(sound []byte) bool {
		for frame := 2 * r.channels; looked+frame <= len(sound); looked += frame {
			if s := sampleAt(sound[looked+2*channel:]); s > 100 || s < -100 {
				return true
			}
		}
		return r.lasts(sound) > patience // what is measured is told, also if that is nothing
	})
}

func (r *tape) awaitThat(t *testing.T, is func(sound []byte) bool) {
	t.Helper()
	still := time.NewTimer(patience)
	defer still.Stop()
	for {
		sound, more := r.now()
		if is(sound) {
			return
		}
		select {
		case <-more:
			still.Reset(patience)
		case <-still.C:
			t.Fatal("the sink stands still")
		}
	}
}

// stop ends the recording.
func (r *tape) stop() []byte {
	r.end()
	sound, _ := r.now()
	return sound
}

func sampleAt(b []byte) int { return int(int16(binary.LittleEndian.Uint16(b))) }

// channel is one of the channels.
func (r *tape) channel(sound []byte, channel int) (samples []float64) {
	frame := 2 * r.channels
	samples = make([]float64, 0, len(sound)/frame)
	for ; len(sound) >= frame; sound = sound[frame:] {
		samples = append(samples, float64(sampleAt(sound[2*channel:])))
	}
	return samples
}

// stage is a running radio.
type stage struct {
	t           *testing.T
	songs, data string
	server      *process
	between     []*process
}

// fill lets join those between the first that is heard and the next. end ends them.
func (s *stage) fill(of staging) (end func()) {
	if of.crowd {
		return silentOnes(s.t, s.server, of.between)
	}
	s.between = nil
	for n := range of.between {
		s.between = append(s.between, launchListener(s.t, s.server, fmt.Sprint("between", n), "--output", "null").awaitReady(s.t, listenerReady))
	}
	between := s.between
	return func() {
		for _, p := range between {
			p.kill()
		}
	}
}

// inOrder checks that so many stand in the chain: the first that is heard, those between, the others that are heard.
func (s *stage) inOrder(n int) {
	s.t.Helper()
	eventually(s.t, "all stand in the chain", func() string {
		chain := s.server.dump(s.t).chain()
		if len(chain) != n || chain[0] != "first" || !strings.HasPrefix(chain[n-1], "loud") {
			return fmt.Sprint(chain)
		}
		return ""
	})
}

// killOne kills one of those between.
func (s *stage) killOne() {
	s.between[0].kill()
	s.between = s.between[1:]
}

func (s *stage) restart() {
	at := s.server.requests()
	s.server.kill()
	s.server = launchServer(s.t, s.songs, s.data, "--listen", at)
}

// silentOnes lets join many listeners without sound, in this process.
func silentOnes(t *testing.T, server *process, n int) (end func()) {
	t.Helper()
	silent, err := player.ParseOutput("none")
	if err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	system := node.NewSystem(quiet)
	var all []*node.Listener
	end = sync.OnceFunc(func() {
		for _, member := range all {
			_ = member.Leave()
		}
		system.Shutdown()
	})
	t.Cleanup(end)
	for i := range n {
		joining, cancel := context.WithTimeout(t.Context(), patience)
		member, err := node.StartListener(joining, node.ListenerOptions{
			Server: server.requests(), Keys: keys.NewRing(server.requests(), nil, ""), Name: fmt.Sprint("n", i), Listen: "127.0.0.1:0", Output: silent,
			News: func(*messages.Playing) {}, Logger: quiet, System: system,
		})
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, member)
	}
	return end
}
