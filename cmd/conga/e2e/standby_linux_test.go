package e2e

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"conga/actors/eventlog/natstest"
	"conga/cmd/internal/keys"
)

// Two servers of a radio, whose log is on servers of NATS. One leads, and both say so; when it is killed, the other one does.
// What listeners hear meanwhile, conga-chaos servers tries.
func TestE2E_Standby(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t, 1)
	addrs := [2]string{quietPair(t), quietPair(t)}
	var data [2]string
	for i := range data {
		data[i] = t.TempDir()
	}
	key := t.TempDir() + "/radio.key"
	if _, err := keys.Signing(data[0]); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"key", "export", key, "--data", data[0]}, {"key", "import", key, "--data", data[1]}} {
		if code, _, said := conga(t, args...); code != 0 {
			t.Fatal(said)
		}
	}
	start := func(i int) *process {
		return launch(t, fmt.Sprint("server", i), "serve", "--songs", "../../../songs", "--listen", addrs[i], "--http", "127.0.0.1:0", "--data", data[i], "--no-mdns",
			"--log", nats.URL(), "--radio", "house", "--servers", strings.Join(addrs[:], ",")).awaitReady(t, serverReady)
	}
	servers := [2]*process{start(0)}
	leads := func(i int) {
		t.Helper()
		eventually(t, servers[i].name+" leads", func() string {
			if !strings.Contains(servers[i].err.String(), "this server leads") {
				return "it does not"
			}
			return ""
		})
	}
	leads(0)
	servers[1] = start(1)
	gone := quietPair(t) // whoever names several servers may name one that is not there
	status := func(matches string) {
		t.Helper()
		eventually(t, "conga status says "+matches, func() string {
			if code, said, _ := conga(t, "status", gone+","+addrs[1]); code != 0 || !regexp.MustCompile("^"+matches).MatchString(said) {
				return fmt.Sprintf("exit %d, %s", code, said)
			}
			return ""
		})
	}
	status(fmt.Sprintf("%s leads since [-0-9]+ [:0-9]+, %s stands by\nplays ", addrs[0], addrs[1]))
	for i, want := range []string{"conga_leads 1\n", "conga_leads 0\n"} {
		answer, err := http.Get("http://" + servers[i].ready["http"] + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		said, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if said := string(said); err != nil || !strings.Contains(said, want) || !strings.Contains(said, "conga_lead_start_time_seconds 1.") {
			t.Errorf("%s has no %s", servers[i].name, want)
		}
	}
	guest := launch(t, "guest", "join", gone+","+addrs[1], "--name", "guest", "--output", "null", "--listen", "127.0.0.1:0").awaitReady(t, listenerReady)
	guest.hears(t)
	servers[0].kill()
	leads(1)
	status(addrs[1] + " leads since [-0-9]+ [:0-9]+; it is one of 2 servers\nplays ")
}
