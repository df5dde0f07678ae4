package e2e

import (
	"strings"
	"testing"

	"conga/actors/eventlog/natstest"
	"conga/cmd/internal/congatest"
)

// All servers of NATS that keep the log are killed while the music plays. The songs go on, and who asks for one is told why not.
// When the servers are back, all that happened is in the log. Another conga serve is refused; if it takes over it goes on from
// the log, and the first one ends.
func TestNATS_Away(t *testing.T) {
	t.Parallel()
	servers := natstest.Start(t, 3)
	there := []string{"--log", servers.URL(), "--radio", "house"}
	songs, data := congatest.Songs(t, congatest.Short), t.TempDir()
	server := launchServer(t, songs, data, there...)
	chain := joinChain(t, server, "amy", "bob")
	ended := func() int { return len(server.dump(t).Live.Pacer.Songs) }
	asks := func(reason string) string {
		if answer := netcat(t, server.requests(), "PLAY 1\n"); !strings.HasPrefix(answer, reason) {
			return answer
		}
		return ""
	}
	eventually(t, "a song is asked for", func() string { return asks("Song ") })
	for _, one := range servers.Servers {
		one.Kill()
	}
	eventually(t, "NATS is away, and PLAY says so", func() string { return asks("The servers that keep this radio's log (NATS) cannot be reached") })
	begun := ended()
	eventually(t, "the next songs play", func() string {
		if n := ended(); n < begun+3 {
			return "songs: " + strings.Repeat("|", n)
		}
		return ""
	})
	cem := launchListener(t, server, "cem").awaitReady(t, listenerReady)
	for _, one := range servers.Servers {
		one.Start()
	}
	eventually(t, "NATS is back, and keeps a song that is asked for", func() string {
		answer := netcat(t, server.requests(), "PLAY 1\n")
		if strings.Contains(answer, "has been requested!") && !strings.Contains(answer, "the request is lost") {
			return ""
		}
		return answer // perhaps that it has been requested before, or that the log does not have it yet
	})
	for _, listener := range append(chain, cem) {
		listener.unhurt(t)
	}
	code, _, said := conga(t, append([]string{"serve", "--songs", songs, "--data", data, "--listen", "127.0.0.1:0", "--http", "off", "--plain"}, there...)...)
	if want := "another server of the radio house is running, at " + server.requests(); code != 1 || !strings.Contains(said, want) {
		t.Errorf("a second server ended with exit %d: %s", code, said)
	}
	before := server.dump(t).Event
	next := launchServer(t, songs, data, append(there, "--take-over")...)
	if now := next.dump(t).Event; now <= before {
		t.Errorf("the log was at event %d, the next server begins at %d", before, now)
	}
	if code := server.exit(t); code != 1 || !strings.Contains(server.err.String(), "another one has taken its log and serves the radio house now") {
		t.Errorf("the first server ended with exit %d", code)
	}
	for _, wrong := range []string{"no room on the disk", "no snapshot could be saved"} {
		if strings.Contains(server.err.String(), wrong) {
			t.Errorf("the first server says %q when its log is taken", wrong)
		}
	}
	eventually(t, "the next one keeps songs in the log", func() string {
		if now := next.dump(t).Event; now < before+5 {
			return "the log is short"
		}
		return ""
	})
	next.kill()
	var out string
	code, out, said = conga(t, append([]string{"log", "verify"}, there...)...)
	if code != 0 || !strings.Contains(out, "are sound") {
		t.Errorf("verify: exit %d, %s%s", code, out, said)
	}
}
