package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"conga/cmd/internal/congatest"
)

// A listener that was stopped, for a moment or for long, says that of its silence, and blames neither its device
// nor its line.
func TestStopped_Listener(t *testing.T) {
	t.Parallel()
	for _, items := range []uint64{15, 60} { // ten are a second
		t.Run(fmt.Sprint(items, " items long"), func(t *testing.T) {
			t.Parallel()
			server := launchServer(t, congatest.Songs(t, congatest.Short), t.TempDir())
			amy := launchListener(t, server, "amy", "--output", "null").awaitReady(t, listenerReady)
			eventually(t, "amy plays", func() string {
				if p := amy.dump(t).Live.Player; p.HeardNumber == 0 {
					return "nothing"
				}
				return ""
			})
			amy.signal(t, syscall.SIGSTOP)
			before := server.dump(t).Live.Pacer.Next
			eventually(t, "the music goes on without her", func() string {
				if now := server.dump(t).Live.Pacer.Next; now < before+items {
					return fmt.Sprint(now)
				}
				return ""
			})
			amy.signal(t, syscall.SIGCONT)
			said := ""
			eventually(t, "she says that she was silent", func() string {
				if said = story(t, amy, "PlayerUnderran"); said == "" {
					return "nothing"
				}
				return ""
			})
			if first, _, _ := strings.Cut(said, "\n"); !strings.Contains(first, "this program did not run for ") {
				t.Errorf("she says %s", first)
			}
		})
	}
}
