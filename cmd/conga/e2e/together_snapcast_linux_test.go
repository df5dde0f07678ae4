package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestTogether_Snapcast measures Snapcast's own server and two of its clients on the same sinks and by the same
// correlation as TestTogether: what another program does on this machine, in this hour.
func TestTogether_Snapcast(t *testing.T) {
	if *together == 0 {
		t.Skip("real sound in real time: make together")
	}
	for _, tool := range []string{"snapserver", "snapclient", "ffmpeg"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no %s: apt-get install snapserver snapclient ffmpeg", tool)
		}
	}
	startSinks(t)
	keepBusy(t)
	dir := t.TempDir()
	pipe, songs := filepath.Join(dir, "music"), filepath.Join("..", "..", "..", "songs")
	_, port, _ := net.SplitHostPort(freePort(t))
	config := filepath.Join(dir, "snapserver.conf") // instead of the machine's, which has another stream
	if err := os.WriteFile(config, []byte("[stream]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	runTool(t, dir, "", "snapserver", "-c", config, "--server.datadir="+dir, "--http.enabled=false", "--tcp.enabled=false", "--stream.port="+port,
		"--stream.source=pipe://"+pipe+"?name=songs&sampleformat=44100:16:2&mode=create")
	eventually(t, "snapserver listens", func() string {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			return err.Error()
		}
		_ = conn.Close()
		return ""
	})
	runTool(t, dir, "", "ffmpeg", "-v", "error", "-re", "-stream_loop", "-1", "-i", filepath.Join(songs, "bach.mp3"), "-f", "s16le", "-ar", "44100", "-ac", "2", "-y", pipe)
	var skews []float64
	for start := range *togetherStarts {
		first := runTool(t, dir, "left", "snapclient", "-h", "127.0.0.1", "-p", port, "-i", "1", "--hostID", "first", "--player", "pulse")
		time.Sleep(settled) // as the first of conga's listeners, which is heard
		recorded := record(t)
		last := runTool(t, dir, "right", "snapclient", "-h", "127.0.0.1", "-p", port, "-i", "2", "--hostID", "last", "--player", "pulse")
		time.Sleep(*together) // it is the length of a measurement
		sound := recorded()
		first()
		last()
		these, from := compareSides(sound)
		t.Logf("Snapcast, start %d: heard %.2f s after the recording began; %s", start+1, float64(from)/sinkRate, byTens(these))
		skews = append(skews, these[min(len(these), int(settled.Seconds()*sinkRate/window)):]...)
	}
	t.Logf("Snapcast, from %v after joining: %s (load %s)", settled, quantiles(skews), load())
	if len(skews) == 0 {
		t.Error("nothing was heard")
	}
}

// keepBusy keeps so many processors busy until the test ends.
func keepBusy(t *testing.T) {
	t.Helper()
	for range *togetherSpin {
		busy := exec.Command("sh", "-c", "while :; do :; done")
		if err := busy.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = busy.Process.Kill(); _ = busy.Wait() })
	}
}

// runTool runs another program until the test or the returned function ends it. It plays to that sink.
func runTool(t *testing.T, dir, sink string, args ...string) (stop func()) {
	t.Helper()
	tool := exec.Command(args[0], args[1:]...)
	tool.Env = append(os.Environ(), "PULSE_SINK="+sink)
	log, err := os.Create(filepath.Join(dir, fmt.Sprintf("%s-%d.log", args[0], time.Now().UnixNano())))
	if err != nil {
		t.Fatal(err)
	}
	tool.Stdout, tool.Stderr = log, log
	if err := tool.Start(); err != nil {
		t.Fatal(err)
	}
	stop = func() {
		_ = tool.Process.Kill()
		_ = tool.Wait()
		_ = log.Close()
	}
	t.Cleanup(func() {
		stop()
		if said, _ := os.ReadFile(log.Name()); t.Failed() {
			t.Logf("%s:\n%s", args[0], tail(string(said)))
		}
	})
	return stop
}
