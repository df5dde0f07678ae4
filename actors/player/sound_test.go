package player

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const (
	// soundTest=required makes the test with real sound fail where it would be skipped.
	soundTest = "CONGA_SOUND_TEST"
	// soundChild is set in the process that plays: oto can be opened once a process, and
	// ALSA reads its environment once.
	soundChild   = "CONGA_SOUND_CHILD"
	soundSeconds = 8
)

// TestSound plays a song through oto, ALSA and a private PulseAudio whose only sink goes
// nowhere at the speed of sound, and compares what came out with the song.
func TestSound(t *testing.T) {
	if raceEnabled && os.Getenv(soundTest) != "required" {
		t.Skip("real time, and the race detector takes its own")
	}
	if !withSpeaker {
		t.Skip("this build has no loudspeaker")
	}
	for _, tool := range []string{"pulseaudio", "pactl", "parec"} {
		if _, err := exec.LookPath(tool); err != nil {
			why := "no " + tool + ": apt-get install pulseaudio pulseaudio-utils libasound2-plugins"
			if os.Getenv(soundTest) == "required" {
				t.Fatal(why)
			}
			t.Skip(why)
		}
	}
	// Real time needs a processor that is free in time. On a busy machine the sound
	// server itself stumbles, which is no fault of the player: it has three tries.
	for try := 1; ; try++ {
		err := playAndRecord(t)
		if err == nil {
			return
		}
		t.Logf("try %d: %v", try, err)
		if try == 3 {
			t.Fatal("no try was clean")
		}
	}
}

func playAndRecord(t *testing.T) error {
	t.Helper()
	env := startPulse(t, t.TempDir())
	recorded := startRecording(t, env)
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSpeaker_InChild$", "-test.v")
	child.Env = append(env, soundChild+"=1")
	out, err := child.CombinedOutput()
	t.Logf("the child says:\n%s", out)
	if err != nil {
		return fmt.Errorf("the child: %w", err)
	}
	return compare(t, load(t, "bach.mp3", 44100, soundSeconds), left(toSamples(recorded())))
}

// TestSpeaker_InChild is the process that plays, for TestSound.
func TestSpeaker_InChild(t *testing.T) {
	if os.Getenv(soundChild) != "1" {
		t.Skip("started by TestSound")
	}
	out, err := ParseOutput("speaker")
	if err != nil {
		t.Fatal(err)
	}
	f := &facts{}
	cfg := testConfig(t, f, out, nil)
	source := &script{now: cfg.Now, lead: 2 * time.Second}
	source.items = broadcast(t, cfg.Now()+1_500_000, load(t, "bach.mp3", 44100, soundSeconds))
	cfg.Open = func() Source { return source }
	e := start(cfg, func(reason string) { t.Error(reason) })
	end := time.NewTimer((1500 + 1000*soundSeconds - 400) * time.Millisecond) // before the underrun of its end
	every := time.NewTicker(time.Second)
	defer every.Stop()
	var live Live
	for playing := true; playing; {
		select {
		case <-every.C:
			// A second player of this process is told so, and the first one is unharmed.
			if err := out.Run(t.Context(), &proof{}); err == nil {
				t.Error("two players have the loudspeaker")
			}
		case <-end.C:
			playing = false
		}
		live = e.deck.live()
		b, _ := json.Marshal(live)
		t.Logf("%s", b)
	}
	if live.Underruns != 0 || live.Silenced != "" || live.HeardNumber < 60 {
		t.Errorf("%+v", live)
	}
	if live.ErrorUs > 20_000 || live.ErrorUs < -20_000 {
		t.Errorf("off by %d µs", live.ErrorUs)
	}
	e.stop()
	proveOutput(t, out) // and it can be opened again
}

// startPulse starts a sound server for this test alone and returns the environment in
// which everything plays there.
func startPulse(t *testing.T, dir string) []string {
	t.Helper()
	socket := filepath.Join(dir, "pulse.sock") // dir/pulse is PulseAudio's own
	alsa := filepath.Join(dir, "alsa.conf")
	if err := os.WriteFile(alsa, []byte("pcm.!default { type pulse }\nctl.!default { type pulse }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "HOME="+dir, "XDG_RUNTIME_DIR="+dir, "XDG_CONFIG_HOME="+dir,
		"PULSE_SERVER=unix:"+socket, "ALSA_CONFIG_PATH="+alsa)
	pulse := exec.Command("pulseaudio", "-n", "--system=false", "--daemonize=no", "--use-pid-file=no",
		"--exit-idle-time=-1", "--log-level=error",
		"--load=module-null-sink sink_name=conga rate=44100 norewinds=1",
		"--load=module-native-protocol-unix auth-anonymous=1 socket="+socket)
	pulse.Env = env
	var said bytes.Buffer
	pulse.Stdout, pulse.Stderr = &said, &said
	if err := pulse.Start(); err != nil {
		t.Fatal(err)
	}
	var done atomic.Bool
	ended := make(chan error, 1)
	go func() { ended <- pulse.Wait(); done.Store(true) }()
	t.Cleanup(func() {
		_ = pulse.Process.Kill()
		<-ended
	})
	until(t, func() error {
		if done.Load() {
			t.Fatalf("pulseaudio ended: %s", &said)
		}
		info := exec.Command("pactl", "info")
		info.Env = env
		return info.Run()
	})
	return env
}

// startRecording records the sink; the returned function ends it and returns the sound.
func startRecording(t *testing.T, env []string) func() []byte {
	t.Helper()
	var sound bytes.Buffer
	parec := exec.Command("parec", "--device=conga.monitor", "--rate=44100", "--channels=2", "--format=s16le", "--raw")
	parec.Env, parec.Stdout = env, &sound
	if err := parec.Start(); err != nil {
		t.Fatal(err)
	}
	stop := func() []byte {
		_ = parec.Process.Signal(os.Interrupt)
		_ = parec.Wait()
		return sound.Bytes()
	}
	t.Cleanup(func() { _ = parec.Process.Kill() })
	until(t, func() error { // its connection to the sink stands
		list := exec.Command("pactl", "list", "short", "source-outputs")
		list.Env = env
		if out, err := list.Output(); err != nil || len(out) == 0 {
			return fmt.Errorf("not recording: %v", err)
		}
		return nil
	})
	return stop
}

// until asks another process again and again, for ten seconds.
func until(t *testing.T, ask func() error) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(10 * time.Second)
	for {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		<-tick.C
	}
}

// compare looks for the song in the recording, a tenth of a second at a time: the
// player may play up to 500 ppm faster or slower to be in time.
func compare(t *testing.T, song recording, heard []float64) error {
	t.Helper()
	const piece = outputRate / 10
	want := left(song.pcm(t))
	began, begins := firstSound(want), firstSound(heard)
	length := (soundSeconds - 1) * outputRate
	lag := begins - began
	if lag < 0 || lag+length > len(heard) {
		return fmt.Errorf("%d frames recorded, the song begins at %d", len(heard), begins)
	}
	lag, _ = align(want[began:began+outputRate/4], heard, begins, 1000)
	lag -= began
	first, worst := lag, 1.0
	for at := began; at+piece < length; at += piece {
		if peak(want[at:at+piece]) < 200 {
			continue
		}
		found, c := align(want[at:at+piece], heard, lag+at, 60)
		if c < 0.95 {
			return fmt.Errorf("%.2f s into the song: correlation %.4f", float64(at)/outputRate, c)
		}
		lag, worst = found-at, min(worst, c)
	}
	inside := longestSilence(heard[first+began : first+length])
	if most := longestSilence(want[began:length]) + outputRate/200; inside > most {
		return fmt.Errorf("%d frames of silence inside the song, it has %d itself", inside, most)
	}
	t.Logf("worst correlation %.4f, drift %d frames", worst, lag-first)
	return nil
}

// firstSound is the first frame that can be heard.
func firstSound(pcm []float64) int {
	for i, s := range pcm {
		if s > 100 || s < -100 {
			return i
		}
	}
	return len(pcm)
}

// TestSpeaker_NoCard: without a device, oto's context says nothing by itself.
func TestSpeaker_NoCard(t *testing.T) {
	if os.Getenv(soundChild) == "none" {
		err := newSpeaker().Run(t.Context(), &proof{})
		if err == nil || !strings.Contains(err.Error(), "sound") {
			t.Errorf("no sound card: %v", err)
		}
		return
	}
	empty := filepath.Join(t.TempDir(), "alsa.conf")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSpeaker_NoCard$", "-test.v", "-test.timeout=20s")
	child.Env = append(os.Environ(), soundChild+"=none", "ALSA_CONFIG_PATH="+empty)
	if out, err := child.CombinedOutput(); err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
}
