package transport

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
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
	cancel()
	if err := <-served; err != nil {
		t.Errorf("served until %v", err)
	}
}
