package e2e

import (
	"path/filepath"
	"strings"
	"testing"
)

// An offset that somebody types moves the sound in one step, and the next start of the listener still has it. The flag
// wins over it.
func TestE2E_Offset(t *testing.T) {
	server := launchServer(t, filepath.Join("..", "..", "..", "songs"), t.TempDir())
	data := t.TempDir()
	says := func(p *process, line, answer string) {
		t.Helper()
		p.say(t, line)
		eventually(t, line+" is answered", func() string {
			if out := p.out.String(); !strings.Contains(out, answer) {
				return out
			}
			return ""
		})
	}
	amy := launchListener(t, server, "amy", "--data", data).awaitReady(t, listenerReady)
	eventually(t, "amy's sound begins", func() string {
		if amy.dump(t).Live.Player.HeardNumber == 0 {
			return "not yet"
		}
		return ""
	})
	says(amy, "OFFSET", "offset 0 ms")
	steps := amy.dump(t).Live.Player.Steps
	says(amy, "OFFSET 12.5", "offset 12.5 ms: your sound comes 12.5 ms earlier")
	eventually(t, "the sound is moved", func() string {
		if now := amy.dump(t).Live.Player.Steps; now == steps {
			return "no step yet"
		}
		return ""
	})
	says(amy, "OFFSET 9000", "OFFSET 9000: give milliseconds from -500 to 500")
	says(amy, "HELP", "OFFSET [MS]: ")
	amy.end(t)

	amy = launchListener(t, server, "amy", "--data", data).awaitReady(t, listenerReady)
	amy.hears(t)
	says(amy, "OFFSET", "offset 12.5 ms")
	amy.end(t)

	amy = launchListener(t, server, "amy", "--data", data, "--offset", "-3").awaitReady(t, listenerReady)
	amy.hears(t)
	says(amy, "OFFSET", "offset -3 ms: your sound comes 3 ms later")
}
