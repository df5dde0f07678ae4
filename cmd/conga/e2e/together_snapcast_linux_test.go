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

// snapcast measures Snapcast's own server and two of its clients on the same sinks and by the same correlation: what
// another program does on this machine, in this hour.
func snapcast(t *testing.T, m *measured) {
	m.about, m.free = "Snapcast's own server and two clients", true
	for _, tool := range []string{"snapserver", "snapclient", "ffmpeg"} {
		if _, err := exec.LookPath(tool); err != nil {
			m.said = fmt.Sprintf("no %s: apt-get install snapserver snapclient ffmpeg", tool)
			return
		}
	}
	startSinks(t)
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
	for start := range *togetherStarts {
		tape := record(t, "all.monitor", 2*len(sides))
		first := runTool(t, dir, sides[0], "snapclient", "-h", "127.0.0.1", "-p", port, "-i", "1", "--hostID", "first", "--player", "pulse")
		tape.awaitSound(t, 0) // as the first of conga's listeners, which is heard before the second comes
		last := runTool(t, dir, sides[1], "snapclient", "-h", "127.0.0.1", "-p", port, "-i", "2", "--hostID", "last", "--player", "pulse")
		tape.awaitSound(t, 2)
		tape.await(t, tape.recorded()+*together)
		sound := tape.stop()
		first()
		last()
		skews, from := compareSides(tape.channel(sound, 0), tape.channel(sound, 2))
		t.Logf("start %d: heard %.2f s after the recording began; %s", start+1, float64(from)/sinkRate, byTens(skews))
		m.add(skews)
	}
}

// keepBusy keeps so many processors busy until the test ends.
func keepBusy(t *testing.T, processors int) {
	t.Helper()
	for range processors {
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
