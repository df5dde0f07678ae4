package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// says types a line and waits for its answer.
func (p *process) says(t *testing.T, line, answer string) {
	t.Helper()
	p.say(t, line)
	eventually(t, line+" is answered", func() string {
		if out := p.out.String(); !strings.Contains(out, answer) {
			return out
		}
		return ""
	})
}

// sounds waits until its player plays music.
func (p *process) sounds(t *testing.T) {
	t.Helper()
	eventually(t, p.name+"'s sound begins", func() string {
		if p.dump(t).Live.Player.HeardNumber == 0 {
			return "not yet"
		}
		return ""
	})
}

// An offset that somebody types moves the sound in one step, and the next start of the listener still has it. The flag
// wins over it.
func TestE2E_Offset(t *testing.T) {
	t.Parallel()
	server := launchServer(t, filepath.Join("..", "..", "..", "songs"), t.TempDir())
	data := t.TempDir()
	amy := launchListener(t, server, "amy", "--output", "null", "--data", data).awaitReady(t, listenerReady)
	amy.sounds(t)
	amy.says(t, "OFFSET", "offset 0 ms")
	steps := amy.dump(t).Live.Player.Steps
	amy.says(t, "OFFSET 12.5", "offset 12.5 ms: your sound comes 12.5 ms earlier")
	eventually(t, "the sound is moved", func() string {
		if now := amy.dump(t).Live.Player.Steps; now == steps {
			return "no step yet"
		}
		return ""
	})
	amy.says(t, "OFFSET 9000", "OFFSET 9000: give milliseconds from -500 to 500")
	amy.says(t, "HELP", "OFFSET [MS]: ")
	amy.end(t)

	amy = launchListener(t, server, "amy", "--output", "null", "--data", data).awaitReady(t, listenerReady)
	amy.sounds(t)
	amy.says(t, "OFFSET", "offset 12.5 ms")
	amy.end(t)

	amy = launchListener(t, server, "amy", "--output", "null", "--data", data, "--offset", "-3").awaitReady(t, listenerReady)
	amy.sounds(t)
	amy.says(t, "OFFSET", "offset -3 ms: your sound comes 3 ms later")
}

// What is set while a loudspeaker clicks is there when the listener of that folder plays music, also if it runs
// meanwhile. Whoever clicks passes the music on.
func TestE2E_Tune(t *testing.T) {
	t.Parallel()
	server := launchServer(t, filepath.Join("..", "..", "..", "songs"), t.TempDir())
	data := t.TempDir()
	amy := launchListener(t, server, "amy", "--output", "null", "--data", data).awaitReady(t, listenerReady)
	amy.sounds(t)
	clicks := launchOn(t, "tune", func(c *exec.Cmd) { c.Env = append(c.Env, "PULSE_SERVER=unix:/nowhere") },
		"tune", server.requests(), "--name", "amy", "--data", data, "--output", "null").awaitReady(t, listenerReady)
	below := launchListener(t, server, "below", "--output", "null").awaitReady(t, listenerReady)
	below.hears(t)
	clicks.says(t, "OFFSET 40", "offset 40 ms")
	clicks.says(t, "MEASURE", "not measured: there is no microphone")
	if now := clicks.dump(t).Live.Player; now.Song != "click" {
		t.Errorf("it plays %q", now.Song)
	}
	clicks.end(t)
	below.hears(t)
	amy.end(t)
	amy = launchListener(t, server, "amy", "--output", "null", "--data", data).awaitReady(t, listenerReady)
	amy.says(t, "OFFSET", "offset 40 ms")
}
