package player

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"conga/messages"
	"conga/messages/raced"
)

const (
	// soundTest=required makes the tests with real sound fail where they would be skipped.
	soundTest    = "CONGA_TEST_SOUND"
	soundSeconds = 8
)

// needPulse skips a test for which a sound server is missing.
func needPulse(t *testing.T) {
	t.Helper()
	if raced.On && os.Getenv(soundTest) != "required" {
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
}

// TestSound plays a song through a private PulseAudio whose only sink goes
// nowhere at the speed of sound, and compares what came out with the song. Once it speaks to PulseAudio, and once
// it finds ALSA only.
func TestSound(t *testing.T) {
	for name, out := range map[string]Output{"PulseAudio": newSpeaker(), "ALSA": newSpeaker("PULSE_SERVER=none")} {
		t.Run(name, func(t *testing.T) {
			if name == "ALSA" && !withALSA {
				t.Skip("this build knows no ALSA")
			}
			testSound(t, out)
		})
	}
}

func testSound(t *testing.T, out Output) {
	t.Helper()
	needPulse(t)
	// Real time needs a processor that is free in time. On a busy machine the sound
	// server itself stumbles, which is no fault of the player: it has three tries.
	for try := 1; ; try++ {
		err := playAndRecord(t, out)
		if err == nil {
			return
		}
		t.Logf("try %d: %v", try, err)
		if try == 3 {
			t.Fatal("no try was clean")
		}
	}
}

func playAndRecord(t *testing.T, out Output) error {
	t.Helper()
	start, stop := pulse(t, t.TempDir())
	start()
	defer stop()
	recorded := startRecording(t)
	live, err := playSong(t, out, &facts{})
	if err != nil {
		return err
	}
	if live.Underruns != 0 || live.Silenced != "" || live.HeardNumber < 60 {
		return fmt.Errorf("%+v", live)
	}
	if live.ErrorUs > 20_000 || live.ErrorUs < -20_000 {
		return fmt.Errorf("off by %d µs", live.ErrorUs)
	}
	proveOutput(t, out) // and it can be opened again
	t.Logf("%+v", live)
	return compare(t, load(t, "bach.mp3", 44100, soundSeconds), left(toSamples(recorded())), live.Steps)
}

// playSong plays some seconds of bach and returns how the player was just before their end.
func playSong(t *testing.T, out Output, f *facts) (live Live, err error) {
	t.Helper()
	cfg := testConfig(t, f, out, nil)
	source := &script{now: cfg.Now, lead: 2 * time.Second}
	source.items = broadcast(t, cfg.Now()+1_500_000, load(t, "bach.mp3", 44100, soundSeconds))
	cfg.Open = func() Source { return source }
	failed := make(chan string, 1)
	e := start(cfg, func(reason string) { failed <- reason })
	defer e.stop()
	select {
	case <-time.After((1500 + 1000*soundSeconds - 400) * time.Millisecond): // before the underrun of its end
	case reason := <-failed:
		return live, errors.New(reason)
	}
	return e.deck.live(), nil
}

// pulse is a sound server for this test alone, which everything plays to from now on; start and stop may be
// called again and again.
func pulse(t *testing.T, dir string) (start, stop func()) {
	t.Helper()
	socket := filepath.Join(dir, "pulse.sock") // dir/pulse is PulseAudio's own
	for name, value := range map[string]string{
		"HOME": dir, "XDG_RUNTIME_DIR": dir, "XDG_CONFIG_HOME": dir, "PULSE_SERVER": "unix:" + socket,
		"ALSA_CONFIG_PATH": alsaConfig(t, dir, fmt.Sprintf("pulse server %q", "unix:"+socket)),
	} {
		t.Setenv(name, value)
	}
	var server *exec.Cmd
	var said bytes.Buffer
	ended := make(chan error, 1)
	start = func() {
		server = exec.Command("pulseaudio", "-n", "--system=false", "--daemonize=no", "--use-pid-file=no",
			"--exit-idle-time=-1", "--log-level=error",
			"--load=module-null-sink sink_name=conga rate=44100 norewinds=1",
			"--load=module-native-protocol-unix auth-anonymous=1 socket="+socket)
		server.Stdout, server.Stderr = &said, &said
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		go func() { ended <- server.Wait() }()
		until(t, func() error { return exec.Command("pactl", "info").Run() })
	}
	stop = func() {
		if server == nil {
			return
		}
		_ = server.Process.Kill()
		<-ended
		server = nil
		_ = os.Remove(socket)
	}
	t.Cleanup(stop)
	return start, stop
}

// alsaConfig writes a configuration of ALSA whose only device is of that type.
func alsaConfig(t *testing.T, dir, device string) string {
	t.Helper()
	path := filepath.Join(dir, "alsa.conf")
	text := ""
	if device != "" {
		text = fmt.Sprintf("pcm.!default { type %s }\n", device)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// startRecording records the sink; the returned function ends it and returns the sound.
func startRecording(t *testing.T) func() []byte {
	t.Helper()
	var sound bytes.Buffer
	parec := exec.Command("parec", "--device=conga.monitor", "--rate=44100", "--channels=2", "--format=s16le", "--raw")
	parec.Stdout = &sound
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
		if out, err := exec.Command("pactl", "list", "short", "source-outputs").Output(); err != nil || len(out) == 0 {
			return fmt.Errorf("not recording: %v", err)
		}
		return nil
	})
	return stop
}

// until asks another process again and again, for twenty seconds.
func until(t *testing.T, ask func() error) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(20 * time.Second)
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
// player may play up to 500 ppm faster or slower to be in time. A crossfade of two places in the song that are less
// than a millisecond apart lies in one such piece: there are as many as the player says that it made.
func compare(t *testing.T, song recording, heard []float64, steps int) error {
	t.Helper()
	const (
		piece      = outputRate / 10
		alike      = 0.95
		crossfaded = 0.75
	)
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
		if c < alike {
			if steps == 0 || c < crossfaded {
				return fmt.Errorf("%.2f s into the song: correlation %.4f", float64(at)/outputRate, c)
			}
			steps--
			continue // the next piece shows how far the sound was moved
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
//
//go:norace
func firstSound(pcm []float64) int {
	for i, s := range pcm {
		if s > 100 || s < -100 {
			return i
		}
	}
	return len(pcm)
}

// TestSound_ServerRestarts: the sound comes back with the sound server, as often as that restarts.
func TestSound_ServerRestarts(t *testing.T) {
	needPulse(t)
	start, stop := pulse(t, t.TempDir())
	f := &facts{}
	e := startForever(t, newSpeaker(), f)
	for range 2 {
		silenced(t, e, "--output null")
		start()
		silenced(t, e, "")
		stop()
		silenced(t, e, "--output null")
	}
	e.stop()
	if again := of[*messages.PlayerHeardAgain](f); len(again) != 2 {
		t.Errorf("heard again %d times", len(again))
	}
}

// startForever plays a song again and again.
func startForever(t *testing.T, out Output, f *facts) *engine {
	t.Helper()
	cfg := testConfig(t, f, out, nil)
	song := load(t, "bach.mp3", 44100, 10)
	source := &script{now: cfg.Now, lead: time.Second}
	source.items = broadcast(t, cfg.Now()+1_500_000, song, song, song, song, song, song, song, song, song, song)
	cfg.Open = func() Source { return source }
	return start(cfg, func(reason string) { t.Error(reason) })
}

// silenced waits until why there is no sound begins like that; empty: until there is sound.
func silenced(t *testing.T, e *engine, why string) {
	t.Helper()
	until(t, func() error {
		if now := e.deck.live().Silenced; now == "" != (why == "") || !strings.Contains(now, why) {
			return fmt.Errorf("silenced: %q, want %q", now, why)
		}
		return nil
	})
}

// TestSpeaker_NoCard: one sentence says why there is no sound and what to type, instead of ALSA's dozens of lines.
func TestSpeaker_NoCard(t *testing.T) {
	if !withSpeaker || runtime.GOOS != "linux" {
		t.Skip("ALSA can be told that there is no card")
	}
	dir := t.TempDir()
	t.Setenv("ALSA_CONFIG_PATH", alsaConfig(t, dir, ""))
	err := newSpeaker().Run(t.Context(), &proof{})
	if err == nil {
		t.Fatal("it plays without a sound card")
	}
	for _, says := range []string{"no sound card can be opened", "--output null", "--output wav:FILE"} {
		if !strings.Contains(err.Error(), says) {
			t.Errorf("%v: it does not say %q", err, says)
		}
	}
	if len(err.Error()) > 400 || strings.ContainsAny(err.Error(), "\n\r") {
		t.Errorf("%d bytes in lines: %q", len(err.Error()), err)
	}
	// A card is plugged in.
	alsaConfig(t, dir, "null")
	out, err := newSpeaker().(Device).Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	over, end := context.WithCancel(t.Context())
	end()
	if err := out.Run(over, &proof{}); err != nil {
		t.Error(err)
	}
}

// actAs is a loudspeaker's process that does not play.
func actAs(act string) {
	want := func(frames, waiting int, words string) {
		b := binary.LittleEndian.AppendUint32(nil, uint32(frames))
		_, _ = os.Stdout.Write(append(binary.LittleEndian.AppendUint32(b, uint32(waiting)), words...))
	}
	if _, then, plays := strings.Cut(act, "plays, "); plays {
		for range 5 {
			want(blockFrames, 0, "")
			_, _ = io.ReadFull(os.Stdin, make([]byte, blockFrames*bytesPerFrame))
		}
		act = then
	}
	switch act {
	case "dies":
		fmt.Fprintln(os.Stderr, "ALSA lib confmisc.c:855:(parse_card) cannot find card '0'")
		fmt.Fprintln(os.Stderr, strings.Repeat("and so on\n", 10_000))
	case "says why":
		want(0, len("the card is gone"), "the card is gone")
	case "says too much":
		want(0, 1<<30, "the card is gone"+strings.Repeat(", gone", 100_000))
	case "wants too much":
		want(100_000, 0, "")
	case "hangs":
		_, _ = io.Copy(io.Discard, os.Stdin)
	}
}
