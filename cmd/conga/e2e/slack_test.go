package e2e

import (
	"fmt"
	"testing"

	"conga/cmd/internal/congatest"
)

// The host chooses how long before it is heard the music is sent. After another start with another value the next song has
// it, and the listeners lose nothing.
func TestE2E_Slack(t *testing.T) {
	t.Parallel()
	data, addr := t.TempDir(), quietPair(t)
	server := launchServer(t, congatest.Dir, data, "--slack", "1s", "--skip-votes", "1", "--listen", addr)
	amy := launchListener(t, server, "amy").awaitReady(t, listenerReady)
	bob := launchListener(t, server, "bob").awaitReady(t, listenerReady)
	has := func(want func(ms int64) bool, what string) {
		t.Helper()
		for _, p := range []*process{amy, bob} {
			eventually(t, fmt.Sprintf("%s has %s", p.name, what), func() string {
				if ms := p.dump(t).Live.Relay.SlackMs; !want(ms) {
					return fmt.Sprint(ms, " ms")
				}
				return ""
			})
		}
	}
	has(func(ms int64) bool { return ms == 1000 }, "one second")
	amy.sounds(t) // the song can be skipped
	server.kill()
	server = launchServer(t, congatest.Dir, data, "--slack", "1.3s", "--skip-votes", "1", "--listen", addr)
	amy.says(t, "SKIP", "is skipped")
	has(func(ms int64) bool { return ms > 1000 }, "more")
	has(func(ms int64) bool { return ms == 1300 }, "1.3 seconds")
	amy.unhurt(t)
	bob.unhurt(t)
	if ms := server.dump(t).Live.Pacer.SlackMs; ms != 1300 {
		t.Errorf("the server's dump says %d ms", ms)
	}
}
