package e2e

import (
	"flag"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"conga/actors/eventlog/natstest"
	"conga/cmd/internal/keys"
)

var (
	standbyKills     = flag.Int("standby.kills", 1, "how often TestE2E_Standby kills the leading server, or stops it")
	standbyListeners = flag.Int("standby.listeners", 3, "how many listeners it has")
	standbySlack     = flag.Duration("standby.slack", 4*time.Second, "--slack of its servers")
)

// Two servers of a radio, whose log is on three servers of NATS, are killed in turn, or stand still, as the one that leads. Nobody
// loses an item or gets one twice. What is silent is measured and told: other programs use this machine, too.
func TestE2E_Standby(t *testing.T) {
	nats := natstest.Start(t, 3)
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
			"--log", nats.URL(), "--radio", "house", "--servers", strings.Join(addrs[:], ","), "--slack", standbySlack.String()).awaitReady(t, serverReady)
	}
	servers := [2]*process{start(0)}
	leads := func(i int) time.Duration {
		return eventually(t, servers[i].name+" leads", func() string {
			if !strings.Contains(servers[i].err.String(), "this server leads") {
				return "it does not"
			}
			return ""
		})
	}
	leads(0)
	servers[1] = start(1)
	eventually(t, "conga status of the one that stands by", func() string {
		code, said, _ := conga(t, "status", addrs[1])
		if code != 0 || !strings.Contains(said, fmt.Sprintf("%s leads, %s stands by\nplays ", addrs[0], addrs[1])) {
			return fmt.Sprintf("exit %d, %s", code, said)
		}
		return ""
	})
	var chain []*process
	for n := range *standbyListeners {
		chain = append(chain, launch(t, fmt.Sprint("listener", n), "join", addrs[n%2], "--name", fmt.Sprint("listener", n), "--output", "null", "--listen", "127.0.0.1:0").awaitReady(t, listenerReady))
	}
	for _, l := range chain {
		l.hears(t)
	}
	for kill := range *standbyKills {
		leader := kill % 2
		if kill%4 < 2 {
			servers[leader].kill()
		} else {
			servers[leader].signal(t, syscall.SIGSTOP)
		}
		took := leads(1 - leader)
		heard := chain[0].hears(t)
		t.Logf("kill %d: the other led after %v, and was heard %v later", kill+1, took.Round(time.Millisecond), heard.Round(time.Millisecond))
		if kill%4 < 2 {
			servers[leader] = start(leader)
		} else {
			servers[leader].signal(t, syscall.SIGCONT)
			eventually(t, "the one that stood still follows", func() string {
				if !strings.Contains(servers[leader].err.String(), "this server leads no longer") {
					return "it does not say so"
				}
				return ""
			})
			servers[leader].kill()
			servers[leader] = start(leader)
		}
		last := chain[len(chain)-1]
		before := last.dump(t).Live.Relay.Received
		eventually(t, "music comes for more than two seconds", func() string { // an upstream that feeds for less counts as one that fails
			if now := last.dump(t).Live.Relay.Received; now < before+20 {
				return fmt.Sprintf("%d items after %d", now, before)
			}
			return ""
		})
	}
	for _, l := range chain {
		l.unhurt(t)
		r := l.dump(t).Live.Receipt
		t.Logf("%s: heard %d, lost %d, twice %d, underruns %d, silent %d ms, longest search %.0f ms", l.name, r.Heard, r.Lost, r.Twice, r.Underruns, r.SilentMs, r.LongestSearchMs)
	}
}
