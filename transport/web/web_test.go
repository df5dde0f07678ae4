package web

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A stranger's page may not ask, whatever name leads to this machine.
func TestGuard(t *testing.T) {
	handler := Guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), "radio.example", "*.party.example")
	for name, test := range map[string]struct {
		method, path, host string
		header             map[string]string
		code               int
	}{
		"by address":                   {"GET", "/", "192.168.1.5:7000", nil, 200},
		"by IPv6 address":              {"GET", "/", "[::1]:7000", nil, 200},
		"by a name of the network":     {"GET", "/", "radio.local:7000", nil, 200},
		"by a name without a dot":      {"GET", "/", "radio", nil, 200},
		"by the operator's name":       {"GET", "/", "Radio.Example.:7000", nil, 200},
		"by a name of the certificate": {"GET", "/", "tonight.party.example:7000", nil, 200},
		"by a name below one":          {"GET", "/", "evil.tonight.party.example:7000", nil, 421},
		"by the end of one":            {"GET", "/", "party.example:7000", nil, 421},
		"by a stranger's name":         {"GET", "/", "evil.example:7000", nil, 421},
		"no name":                      {"GET", "/", "", nil, 421},
		"its own page asks":            {"POST", "/request", "10.0.0.1:7000", map[string]string{"Origin": "http://10.0.0.1:7000", "Sec-Fetch-Site": "same-origin"}, 200},
		"another page posts":           {"POST", "/request", "10.0.0.1:7000", map[string]string{"Origin": "http://evil.example"}, 403},
		"another page, no origin":      {"POST", "/request", "10.0.0.1:7000", map[string]string{"Origin": "null"}, 403},
		"another site fetches":         {"GET", "/songs", "10.0.0.1:7000", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		"another site's link":          {"GET", "/", "10.0.0.1:7000", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200},
		"another site's player":        {"GET", "/stream.mp3", "10.0.0.1:7000", map[string]string{"Sec-Fetch-Site": "cross-site"}, 200},
		"another port of the origin":   {"POST", "/request", "10.0.0.1:7000", map[string]string{"Origin": "http://10.0.0.1:8000"}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(test.method, test.path, nil)
			r.Host = test.host
			for k, v := range test.header {
				r.Header.Set(k, v)
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code != test.code {
				t.Errorf("%d, want %d", w.Code, test.code)
			}
		})
	}
}

// still is a server whose parts only the test changes.
type still struct {
	mu    sync.Mutex
	event uint64
	text  string
}

func (s *still) Last() uint64 { s.mu.Lock(); defer s.mu.Unlock(); return s.event }

func (s *still) Look(context.Context) (Parts, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, _ := json.Marshal(s.text)
	return Parts{"now": body, "queue": json.RawMessage("[]")}, nil
}

func (s *still) At(context.Context, uint64) (Parts, error) { return nil, ErrGone }

func (s *still) Songs(context.Context, string, int) (any, error) { return nil, errors.New("busy") }

func (s *still) Log(context.Context, uint64) (any, error) { return []string{}, nil }

func (s *still) Cover(_ context.Context, song string) ([]byte, error) {
	return map[string][]byte{"png": []byte("\x89PNG\x0D\x0A\x1A\x0A"), "html": []byte("<script>")}[song], nil
}

func (s *still) say(text string) { s.mu.Lock(); defer s.mu.Unlock(); s.event, s.text = s.event+1, text }

func siteOf(t *testing.T, secret bool) (*still, *httptest.Server) {
	source := &still{text: "one"}
	site := NewSite(SiteConfig{
		Source: source, Offers: &Offers{Now: time.Now}, Now: time.Now, Secret: secret,
		Music: &Music{Most: 0, Open: func() Cursor { return &reel{} }},
	})
	server := httptest.NewServer(site)
	t.Cleanup(server.Close)
	return source, server
}

func get(t *testing.T, url string) (*http.Response, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(body)
}

func TestSite(t *testing.T) {
	_, server := siteOf(t, false)
	for path, want := range map[string]struct {
		code int
		kind string
	}{
		"/": {200, "text/html; charset=utf-8"}, "/app.js": {200, "text/javascript; charset=utf-8"}, "/style.css": {200, "text/css; charset=utf-8"},
		"/cover?song=png": {200, "image/png"}, "/cover?song=html": {204, ""}, "/cover?song=no": {204, ""},
		"/log": {200, "application/json"}, "/at?event=7": {404, "application/json"}, "/at?event=x": {400, "application/json"},
		"/songs?q=x": {503, "application/json"}, "/stream.mp3": {503, "text/plain; charset=utf-8"},
		"/request": {405, "text/plain; charset=utf-8"}, "/cancel": {405, "text/plain; charset=utf-8"}, "/skip": {405, "text/plain; charset=utf-8"}, "/debug/dump": {404, "text/plain; charset=utf-8"},
	} {
		answer, _ := get(t, server.URL+path)
		if answer.StatusCode != want.code || answer.Header.Get("Content-Type") != want.kind {
			t.Errorf("%s: %d %q, want %d %q", path, answer.StatusCode, answer.Header.Get("Content-Type"), want.code, want.kind)
		}
	}
	answer, page := get(t, server.URL)
	policy := answer.Header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'; script-src 'self';") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") || strings.Count(policy, "http:") != 1 {
		t.Errorf("policy %q", policy)
	}
	if strings.Contains(page, "://") {
		t.Error("the page names another host")
	}
}

func TestSentence(t *testing.T) {
	for said, want := range map[string]string{
		"": "", "try again": "Try again", "ça va.mp3 is gone": "Ça va.mp3 is gone", "“b.mp3” is gone": "“b.mp3” is gone",
	} {
		if got := sentence(said); got != want {
			t.Errorf("%q: %q, want %q", said, got, want)
		}
	}
}

// With a token nothing is served without TLS: no page, no music, no news, and no field that would take the token.
func TestSite_Secret(t *testing.T) {
	_, server := siteOf(t, true)
	for _, path := range []string{"/live", "/songs", "/stream.mp3", "/app.js", "/enter", "/door.js", "/listen.m3u"} {
		if answer, body := get(t, server.URL+path); answer.StatusCode != 403 || !strings.Contains(body, "https") {
			t.Errorf("%s: %d %q", path, answer.StatusCode, body)
		}
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if want := strings.Replace(server.URL, "http:", "https:", 1) + "/"; answer.StatusCode != 307 || answer.Header.Get("Location") != want {
		t.Errorf("the page in clear: %s, to %q", answer.Status, answer.Header.Get("Location"))
	}
}

// A visitor is told everything at first, then what changes. Without visitors nobody looks.
func TestLive(t *testing.T) {
	source, server := siteOf(t, false)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for range 2 { // the second time after all have left
		answer, err := client.Get(server.URL + "/live")
		if err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(answer.Body)
		expect := func(want string) {
			t.Helper()
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					t.Fatalf("waiting for %q: %v", want, err)
				}
				if strings.TrimSpace(line) == want {
					return
				}
			}
		}
		source.mu.Lock()
		text := source.text
		source.mu.Unlock()
		expect(fmt.Sprintf("data: %q", text))
		expect("event: queue")
		source.say(text + "+")
		expect(fmt.Sprintf("data: %q", text+"+"))
		_ = answer.Body.Close()
	}
}

// A visitor that does not read is cut off. The others are told as before.
func TestLive_Cut(t *testing.T) {
	l := newLive(&still{text: "one"})
	sleeper, reader := &visitor{parts: make(chan []byte, waitsForVisitor), cut: make(chan struct{})}, &visitor{parts: make(chan []byte, waitsForVisitor), cut: make(chan struct{})}
	l.enter(sleeper)
	l.enter(reader)
	defer l.leave(reader)
	told := 0
	for n := 0; ; n++ {
		l.tell(context.Background(), Parts{"now": json.RawMessage(fmt.Sprint(n))})
		for len(reader.parts) > 0 {
			<-reader.parts
			told++
		}
		select {
		case <-sleeper.cut:
			if told < waitsForVisitor {
				t.Errorf("it was cut after %d", told)
			}
			return
		default:
		}
		if n > 10*waitsForVisitor {
			t.Fatal("nobody cuts it")
		}
	}
}
