package node

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"conga/actors/lease"
	"conga/actors/player"
	"conga/cmd/internal/monitor"
	"conga/messages"
)

// watched serves a node's debug port, and returns a function that asks it for a path: status and answer.
func watched(t *testing.T, n *Debug, watch monitor.Node) func(path string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	served := n.Serve(ctx, nil, watch)
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	return func(path string) (int, string) {
		t.Helper()
		answer, err := client.Get("http://" + n.String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(body)
	}
}

// until waits until something is so.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	late := time.After(time.Minute)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !is() {
		select {
		case <-again.C:
		case <-late:
			t.Fatalf("no %s", what)
		}
	}
}

// checkDashboard checks that each figure in the dashboard and the alerts exists.
func checkDashboard(t *testing.T, nodes ...func(string) (int, string)) {
	t.Helper()
	there := ""
	for _, ask := range nodes {
		_, body := ask("/metrics")
		there += body
	}
	for _, file := range []string{"grafana.json", "conga-alerts.yml"} {
		text, err := os.ReadFile("../../conga/packaging/" + file)
		if err != nil {
			t.Fatal(err)
		}
		named := regexp.MustCompile(`\bconga_[a-z_]+`).FindAllString(string(text), -1)
		if len(named) == 0 {
			t.Errorf("%s names no figure", file)
		}
		for _, name := range named {
			if !strings.Contains(there, "\n"+name) {
				t.Errorf("%s names %s, which no node has", file, name)
			}
		}
	}
}

// A server and a listener have figures that Prometheus' own linter accepts, which have the same names whatever the nodes
// are called, and a state of health that changes with the music.
func TestWatched(t *testing.T) {
	t.Parallel() // it waits
	logger := slog.New(slog.DiscardHandler)
	data, err := OpenData(t.TempDir(), "../../../songs", logger)
	if err != nil {
		t.Fatal(err)
	}
	server, err := StartServer(ServerOptions{
		Songs: "../../../songs", Listen: "127.0.0.1:0", Data: data, Logger: logger,
		Standing: func() lease.Standing {
			return lease.Standing{Term: 1, Leader: &messages.LeaseClaim{SinceUnixUs: 1_000_000}}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	stop := sync.OnceFunc(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	defer stop()
	output, err := player.ParseOutput("null")
	if err != nil {
		t.Fatal(err)
	}
	const hostile = `amy"} 1\nconga_owned{x="`
	listener, err := StartListener(t.Context(), ListenerOptions{
		Server: server.Requests.Addr().String(), Name: hostile, Listen: "127.0.0.1:0", Output: output, Logger: logger,
		News: func(*messages.Playing) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Leave()

	open := func(profiles bool) *Debug {
		debug, err := ListenDebug("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		debug.Profiles = profiles
		return debug
	}
	away := ""
	askServer := watched(t, open(true), server.Watched())
	askListener := watched(t, open(false), listener.Watched(func() string { return away }))

	until(t, "the songs are known", func() bool { _, body := askServer("/metrics"); return strings.Contains(body, "conga_songs 3") })
	server.Say(t.Context(), "PLAY 1")
	server.Say(t.Context(), "PLAY nosuch")
	for name, node := range map[string]struct {
		ask  func(string) (int, string)
		says []string
	}{
		"server": {askServer, []string{
			"conga_listeners 1", "conga_songs 3", `conga_requests_total{result="queued"} 1`, `conga_requests_total{result="no_such_song"} 1`,
			`conga_disk_state{state="fine"} 1`, "conga_queue_length ", "conga_leads 1", "conga_lead_start_time_seconds 1", "conga_log_write_seconds_count", "go_goroutines", "conga_build_info{",
			`conga_refused_total{reason="token"} 0`, "conga_splice_seconds_bucket", "conga_disk_trouble_total 0", "conga_underruns_reported_total 0",
		}},
		"listener": {askListener, []string{"conga_server_connected 1", "conga_underruns_total 0", "conga_items_lost_total 0", "conga_lies_total 0"}},
	} {
		until(t, name+" in good health", func() bool { code, body := node.ask("/healthz"); return code == 200 && body == "music flows\n" })
		code, body := node.ask("/metrics")
		if code != 200 {
			t.Fatalf("%s: %d %s", name, code, body)
		}
		for _, says := range node.says {
			if !strings.Contains(body, says) {
				t.Errorf("%s: no %s in\n%s", name, says, body)
			}
		}
		problems, err := promlint.New(strings.NewReader(body)).Lint()
		if err != nil || len(problems) > 0 || strings.Contains(body, "owned") {
			t.Errorf("%s: %v %v", name, problems, err)
		}
	}
	checkDashboard(t, askServer, askListener)
	if code, _ := askServer("/debug/pprof/goroutine?debug=1"); code != 200 {
		t.Errorf("the server's profiles: %d", code)
	}
	if code, _ := askListener("/debug/pprof/goroutine?debug=1"); code != 404 {
		t.Errorf("profiles that nobody asked for: %d", code)
	}
	stop()
	until(t, "unhealthy listener", func() bool {
		code, body := askListener("/healthz")
		return code == 503 && strings.HasPrefix(body, "no music for")
	})
	away = "the folder is not mounted"
	if code, body := askListener("/healthz"); code != 200 || !strings.Contains(body, away) {
		t.Errorf("%d %s", code, body)
	}
}
