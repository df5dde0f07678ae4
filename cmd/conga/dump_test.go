package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"conga/cmd/internal/cli"
)

func answering(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func TestDump(t *testing.T) {
	const dump = "{\n  \"node\": \"amy\",  \"event\": 7}\n"
	addr := answering(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/debug/dump" {
			http.NotFound(w, r)
			return
		}
		w.Write([]byte(dump))
	})
	if code, out, err := conga(t, "dump", addr); code != 0 || out != dump || err != "" {
		t.Errorf("exit %d, %q, %q", code, out, err)
	}
}

func TestDump_Mistakes(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	for name, test := range map[string]struct{ addr, want string }{
		"nobody there": {free.Addr().String(), "nobody answers at " + free.Addr().String() + ": start a node there with `conga serve`"},
		"not a conga":  {answering(t, http.NotFound), "answers 404 Not Found"},
		"no HTTP": {answering(t, func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := w.(http.Hijacker).Hijack()
			conn.Write([]byte("NS/2/88200/176\n"))
			conn.Close()
		}), "is no node's debug address: give the http=HOST:PORT address of its ready line"},
		"cut off": {answering(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			w.Write([]byte("{"))
		}), "was cut off: ask again"},
		"no address": {"a:b:c", "is not HOST or HOST:PORT"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, err := conga(t, "dump", test.addr)
			if code != cli.Failed || !strings.HasPrefix(err, "conga dump: ") || !strings.Contains(err, test.want) || strings.Count(err, "\n") != 1 {
				t.Errorf("exit %d, stderr %q, want %q in one line", code, err, test.want)
			}
		})
	}
}

// A signal ends the wait for a node that says nothing.
func TestDump_Interrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	addr := answering(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	var out, errs strings.Builder
	if code := run(ctx, []string{"dump", addr}, strings.NewReader(""), &out, &errs); code != cli.Failed || strings.Contains(errs.String(), "no answer") {
		t.Errorf("exit %d: %s", code, &errs)
	}
}

func dumpOf(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }
}

func TestDump_Key(t *testing.T) {
	addr := answering(t, dumpOf(`{"event":7,"state":{"queue":[1,2],"song":"a<b.mp3"},"live":{}}`))
	if got := ok(t, "dump", addr, "--key", "state"); got != "{\n  \"queue\": [\n    1,\n    2\n  ],\n  \"song\": \"a<b.mp3\"\n}\n" {
		t.Errorf("%q", got)
	}
	if got := ok(t, "dump", addr, "--key", "state.queue"); got != "[\n  1,\n  2\n]\n" {
		t.Errorf("%q", got)
	}
	refuses(t, []string{"dump", addr, "--key", "states"}, "no states in it, but event, live, state")
	if got := ok(t, "dump", addr, "--key", "state.queue.1"); got != "2\n" {
		t.Errorf("%q", got)
	}
	refuses(t, []string{"dump", addr, "--key", "event.x"}, `no event.x in it: in place of "x" there is only 7`)
	for _, key := range []string{"state.queue.2", "state.queue.first"} {
		refuses(t, []string{"dump", addr, "--key", key}, "no "+key+" in it: there is a list, whose values are 0 to 1")
	}
}
