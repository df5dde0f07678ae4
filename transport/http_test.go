package transport

import (
	"context"
	"io"
	"iter"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestHTTP(t *testing.T) {
	l := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	var fail atomic.Bool
	served := make(chan error, 1)
	go func() {
		served <- Serve(ctx, l, HTTP(func(context.Context) (any, error) {
			if fail.Load() {
				return nil, errTest
			}
			return map[string]any{"node": "amy"}, nil
		}, func(_ context.Context, since time.Time) iter.Seq2[[]byte, error] {
			return func(yield func([]byte, error) bool) {
				_ = yield(since.AppendFormat(nil, time.RFC3339), nil) && yield([]byte(`{"seq":2}`), nil) &&
					fail.Load() && yield(nil, errTest)
			}
		}))
	}()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(method, path string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+l.Addr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	if code, body := get("GET", "/debug/dump"); code != 200 || body != "{\n  \"node\": \"amy\"\n}\n" {
		t.Errorf("dump: %d %q", code, body)
	}
	if code, body := get("GET", "/"); code != 200 || !strings.Contains(body, "/debug/dump") {
		t.Errorf("/: %d %q", code, body)
	}
	const since = "2026-11-22T10:11:12Z"
	if code, body := get("GET", "/debug/log?since="+since); code != 200 || body != since+"\n{\"seq\":2}\n" {
		t.Errorf("log: %d %q", code, body)
	}
	for query, ago := range map[string]time.Duration{"": recently, "?since=2h": 2 * time.Hour} {
		_, body := get("GET", "/debug/log"+query)
		line, _, _ := strings.Cut(body, "\n")
		if at, err := time.Parse(time.RFC3339, line); err != nil || (time.Since(at)-ago).Abs() > time.Minute {
			t.Errorf("log%s: since %s", query, line)
		}
	}
	if code, body := get("GET", "/debug/log?since=soon"); code != 400 || !strings.Contains(body, "10m") {
		t.Errorf("since=soon: %d %q", code, body)
	}
	if code, _ := get("GET", "/etc/passwd"); code != 404 {
		t.Errorf("another path: %d", code)
	}
	if code, _ := get("POST", "/debug/dump"); code != 405 {
		t.Errorf("POST: %d", code)
	}
	fail.Store(true)
	if code, body := get("GET", "/debug/dump"); code != 500 || !strings.Contains(body, errTest.Error()) {
		t.Errorf("a dump that fails: %d %q", code, body)
	}
	if body, err := read(t, client, "http://"+l.Addr().String()+"/debug/log"); err == nil {
		t.Errorf("a log that breaks off looks whole: %q", body)
	}
	cancel()
	if err := <-served; err != nil {
		t.Errorf("served until %v", err)
	}
}

// read returns the answer's body, and an error if it broke off.
func read(t *testing.T, client *http.Client, url string) (string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}
