package transport

import (
	"bytes"
	"context"
	"io"
	"iter"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
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
		}, func(_ context.Context, since time.Time, about, _ string) ([][]byte, error) {
			if fail.Load() {
				return nil, errTest
			}
			return [][]byte{since.AppendFormat(nil, time.RFC3339), []byte(about)}, nil
		}), "radio.lan")
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
	if code, body := get("GET", "/debug/story?about=amy&since="+since); code != 200 || body != since+"\namy\n" {
		t.Errorf("story: %d %q", code, body)
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
	for header, refused := range map[[2]string]bool{
		{"Host", "rebound.page.example"}:      true,
		{"Host", "rebound.page.example:8000"}: true,
		{"Host", "10.1.2.3:8000"}:             true, // nobody reaches a loopback address so
		{"Host", "127.0.0.1.page.example"}:    true,
		{"Host", "localhost.page.example"}:    true,
		{"Host", "localhost"}:                 false,
		{"Host", "LOCALHOST.:9"}:              false,
		{"Host", "127.0.0.2:8000"}:            false,
		{"Host", "[::1]:8000"}:                false,
		{"Host", "radio.lan:8000"}:            false, // as Serve was told
		{"Origin", "http://page.example"}:     true,
		{"Origin", "null"}:                    true,
		{"Origin", "http://localhost:3000"}:   true,
		{"Sec-Fetch-Site", "cross-site"}:      true,
		{"Sec-Fetch-Site", "same-site"}:       true,
		{"Sec-Fetch-Site", "same-origin"}:     false,
		{"Sec-Fetch-Site", "none"}:            false,
	} {
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+l.Addr().String()+"/debug/dump", nil)
		if err != nil {
			t.Fatal(err)
		}
		if req.Header.Set(header[0], header[1]); header[0] == "Host" {
			req.Host = header[1]
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if want := map[bool]int{true: http.StatusForbidden, false: http.StatusOK}[refused]; resp.StatusCode != want || strings.Contains(string(body), "amy") == refused {
			t.Errorf("%s: %d %q", header, resp.StatusCode, body)
		}
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

// Whoever asks for the dump or the log and does not read holds up nobody, and not the node's end.
func TestHTTP_Unread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, served := newPipes(), make(chan error, 1)
		ctx, end := context.WithCancel(t.Context())
		go func() {
			served <- Serve(ctx, l, HTTP(func(context.Context) (any, error) {
				return strings.Repeat("x", 1<<20), nil
			}, func(context.Context, time.Time) iter.Seq2[[]byte, error] {
				return func(yield func([]byte, error) bool) {
					for line := bytes.Repeat([]byte("x"), 1<<20); yield(line, nil); {
					}
				}
			}, nil))
		}()
		ask := func(path string) net.Conn {
			conn := l.dial(t)
			send(t, conn, []byte("GET "+path+" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))
			return conn
		}
		for range 10 {
			ask("/debug/dump")
			ask("/debug/log")
		}
		synctest.Wait()
		if answer, err := io.ReadAll(ask("/")); err != nil || !strings.Contains(string(answer), "conga") {
			t.Errorf("another one is answered %q, %v", answer, err)
		}
		start := time.Now()
		end()
		if err := <-served; err != nil || time.Since(start) > 2*time.Second {
			t.Errorf("it ends after %v: %v", time.Since(start), err)
		}
	})
}

// A node that listens for others, because the user said so, is asked by whatever address they
// reach it by; names are as strange to it as to the others.
func TestOwnHost_ForOthers(t *testing.T) {
	everywhere := &net.TCPAddr{IP: net.IPv6unspecified, Port: 8000}
	for host, own := range map[string]bool{
		"192.168.1.5:8000": true, "[2001:db8::1]:8000": true, "127.0.0.1": true, "": true, "radio.lan": true, "RADIO.lan:8000": true,
		"page.example:8000": false, "1.2.3": false, "0x7f000001": false, "192.168.1.5.page.example": false,
	} {
		if got := ownHost(host, everywhere, []string{"radio.lan"}); got != own {
			t.Errorf("%q is own: %v", host, got)
		}
	}
}
