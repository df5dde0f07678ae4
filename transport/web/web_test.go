package web

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"conga/messages"
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

// reel is music that a test gives out.
type reel struct {
	items  chan *messages.Item
	closed atomic.Bool
}

func (r *reel) Next(ctx context.Context) (*messages.Item, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	select {
	case item := <-r.items:
		return item, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (r *reel) Close() { r.closed.Store(true) }

func chunk(song *messages.SongChange, size int) *messages.Item {
	return &messages.Item{Frames: bytes.Repeat([]byte{0xff}, size), Song: song}
}

var (
	air   = &messages.SongChange{Song: "air.mp3", Title: "Air'; x", Artist: "Bach"}
	canon = &messages.SongChange{Song: "canon.mp3"}
)

// A player that asks for titles gets them where they change. The music between them is the same as without titles.
func TestMusic_Titles(t *testing.T) {
	var music, dressed []byte
	d := &dresser{titles: true}
	for i := range 12 {
		song := air
		if i >= 6 {
			song = canon
		}
		item := chunk(song, 700)
		item.Frames = bytes.Repeat([]byte{byte(i)}, 700)
		music = append(music, item.Frames...)
		dressed = append(dressed, d.item(item)...)
	}
	var undressed []byte
	titles := map[int]string{} // by the number of bytes of music before them
	for len(dressed) > 0 {
		n := min(metaint, len(dressed))
		undressed, dressed = append(undressed, dressed[:n]...), dressed[n:]
		if len(dressed) == 0 {
			break
		}
		length := int(dressed[0]) * 16
		if length > 0 {
			titles[len(undressed)] = strings.TrimRight(string(dressed[1:1+length]), "\x00")
		}
		dressed = dressed[1+length:]
	}
	if !bytes.Equal(undressed, music) {
		t.Error("titles have changed the music")
	}
	if len(titles) != 2 || titles[1024] != "StreamTitle='Bach - Air’; x';" || titles[5*1024] != "StreamTitle='canon';" { // the song changes at byte 4200
		t.Errorf("%v", titles)
	}
	long := titleOf(&messages.SongChange{Title: strings.Repeat("ü", 500), Artist: strings.Repeat("ß", 500)})
	if len(long) > maxIcy {
		t.Errorf("a title of %d bytes", len(long))
	}
}

// A player with a place gets the music and its headers. One player too many is told so.
func TestMusic_Places(t *testing.T) {
	r := &reel{items: make(chan *messages.Item, 1)}
	m := &Music{Most: 1, Open: func() Cursor { return r }}
	server := httptest.NewServer(m.Handler())
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r.items <- chunk(air, 400)
	answer, err := client.Get(server.URL + streamPath)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 400)
	if _, err := io.ReadFull(answer.Body, got); err != nil || answer.Header.Get("Content-Type") != "audio/mpeg" || len(answer.TransferEncoding) > 0 {
		t.Errorf("%v, %v %v", err, answer.Header, answer.TransferEncoding)
	}
	full, err := client.Get(server.URL + streamPath)
	if err != nil {
		t.Fatal(err)
	}
	_ = full.Body.Close()
	if full.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("the second of one: %s", full.Status)
	}
	_ = answer.Body.Close()
	for { // until the handler has seen that its player is gone
		head, err := client.Head(server.URL + streamPath)
		if err != nil {
			t.Fatal(err)
		}
		if head.StatusCode == 200 && head.Header.Get("Content-Type") == "audio/mpeg" {
			break
		}
	}
	if !r.closed.Load() {
		t.Error("its cursor is open")
	}
	for path, want := range map[string]string{"/listen.m3u": server.URL + streamPath + "\n", "/listen.pls": "File200=" + server.URL + streamPath + "\n"} {
		list, err := client.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(list.Body)
		_ = list.Body.Close()
		if !strings.Contains(string(body), want) {
			t.Errorf("%s: %q", path, body)
		}
	}
}

// Where the sample rate changes, the stream ends for players that would fall silent, and goes on for others.
func TestMusic_EndsAtAnotherRate(t *testing.T) {
	for name, test := range map[string]struct {
		path, agent string
		frames      int
	}{
		"any player":           {streamPath, "mpv", 30},
		"VLC":                  {streamPath, "VLC/3.0.24 LibVLC/3.0.24", 20},
		"who has asked for it": {streamPath + "?" + oneRate, "Mozilla", 20},
	} {
		t.Run(name, func(t *testing.T) {
			r := &reel{items: make(chan *messages.Item, 3)}
			m := &Music{Most: 1, Open: func() Cursor { return r }}
			server := httptest.NewServer(m.Handler())
			defer server.Close()
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			ask, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+test.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			ask.Header.Set("User-Agent", test.agent)
			answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(ask)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			for _, rate := range []int32{44100, 44100, 48000} {
				r.items <- chunk(&messages.SongChange{SampleRate: rate}, 10)
			}
			got := make([]byte, test.frames)
			if _, err := io.ReadFull(answer.Body, got); err != nil {
				t.Fatal(err)
			}
			if test.frames == 20 {
				if more, err := io.ReadAll(answer.Body); len(more) > 0 || err != nil {
					t.Errorf("then came %d bytes, %v", len(more), err)
				}
				vlc := strings.Contains(test.agent, "LibVLC")
				for titles, code := range map[string]int{"": 200, "1": map[bool]int{true: 410, false: 200}[vlc]} {
					again := ask.Clone(ctx)
					again.Method = http.MethodHead
					again.Header.Set("Icy-Metadata", titles)
					answer, err := http.DefaultClient.Do(again)
					if err != nil {
						t.Fatal(err)
					}
					if answer.StatusCode != code || vlc && answer.Header.Get("Icy-Name") != "" {
						t.Errorf("it comes again, titles %q: %s %v", titles, answer.Status, answer.Header)
					}
				}
			}
		})
	}
}

// given is music that has come before the player.
type given []*messages.Item

func (g *given) Next(ctx context.Context) (*messages.Item, error) {
	if len(*g) == 0 {
		return nil, ctx.Err()
	}
	item := (*g)[0]
	*g = (*g)[1:]
	return item, nil
}

func (g *given) Close() {}

// A new player begins after the last change of the sample rate.
func TestMusic_BeginsBehindAnotherRate(t *testing.T) {
	slow, fast := &messages.SongChange{SampleRate: 44100}, &messages.SongChange{SampleRate: 48000}
	for _, test := range []struct {
		songs []*messages.SongChange
		want  int
	}{
		{nil, 0},
		{[]*messages.SongChange{slow, slow}, 2},
		{[]*messages.SongChange{slow, slow, fast}, 1},
		{[]*messages.SongChange{slow, fast, fast, slow, slow, slow}, 3},
	} {
		var music given
		for _, song := range test.songs {
			music = append(music, chunk(song, 10))
		}
		if got := beginning(&music); len(got) != test.want {
			t.Errorf("of %d items it begins with the last %d, want %d", len(test.songs), len(got), test.want)
		}
	}
}

// clock is a time that a test moves.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func TestOffers(t *testing.T) {
	c := &clock{at: time.Unix(1000, 0)}
	o := &Offers{Now: c.now}
	say := func(id, relay string, players, most uint32) {
		o.Pinged(&messages.Node{Id: id, Relay: relay}, "", &messages.ClockPing{Players: players, PlayersAtMost: most})
	}
	lan := netip.MustParseAddr("192.168.1.9")
	choose := func() string {
		if place, found := o.Choose(lan, false); found {
			return place.At.String()
		}
		return ""
	}
	if got := choose(); got != "" {
		t.Errorf("nobody offers, and %q was chosen", got)
	}
	say("a", "192.168.1.3:1", 0, 2)
	say("b", "192.168.1.4:1", 1, 4)
	say("none", "192.168.1.5:1", 0, 0)
	say("closed", "", 0, 9)
	var got []string
	for range 6 { // promised places count until the nodes report
		got = append(got, choose())
	}
	if want := []string{"192.168.1.3:1", "192.168.1.4:1", "192.168.1.3:1", "192.168.1.4:1", "192.168.1.4:1", ""}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("chosen %q, want %q", got, want)
	}
	say("b", "192.168.1.4:1", 3, 4) // two of the three have come
	if got := choose(); got != "" {
		t.Errorf("%q has no place for one more", got)
	}
	say("a", "192.168.1.3:1", 1, 2) // one of the two has come, the other is on its way
	if got := choose(); got != "" {
		t.Errorf("%q has one, and one comes", got)
	}
	c.at = c.at.Add(onTheWay + time.Second)
	say("a", "192.168.1.3:1", 1, 2)
	say("b", "192.168.1.4:1", 4, 4)
	if got := choose(); got != "192.168.1.3:1" {
		t.Errorf("of a full one and one with room, %q was chosen", got)
	}
	c.at = c.at.Add(2 * offerLasts)
	if got := choose(); got != "" {
		t.Errorf("%q has said nothing for long", got)
	}
	say("new", "192.168.1.7:1", 0, 9)
	o.Parted("new")
	if got := choose(); got != "" {
		t.Errorf("%q has gone", got)
	}
}

// The listener with the least music tells how long the chain takes. It is asked what it has beyond what is heard, and has
// a chunk less just before the next one comes. One without music and one that says nothing more do not count.
func TestOffers_ChainTakes(t *testing.T) {
	c := &clock{at: time.Unix(1000, 0)}
	slack := 2 * time.Second
	o := &Offers{Now: c.now, Slack: func() time.Duration { return slack }}
	say := func(id string, ahead time.Duration) {
		o.Pinged(&messages.Node{Id: id, Name: "name of " + id}, "", &messages.ClockPing{AheadUs: ahead.Microseconds()})
	}
	is := func(takes time.Duration, last string) {
		t.Helper()
		if got, who := o.ChainTakes(); got != takes || who != last {
			t.Errorf("%v as %q says, want %v and %q", got, who, takes, last)
		}
	}
	is(0, "")
	say("near", 1900*time.Millisecond)
	is(0, "")
	say("far", 1500*time.Millisecond)
	say("without", -time.Second)
	is(390*time.Millisecond, "name of far")
	slack = time.Second // what it said was of music with another slack
	is(390*time.Millisecond, "name of far")
	say("far", 500*time.Millisecond)
	is(390*time.Millisecond, "name of far")
	c.at = c.at.Add(2 * offerLasts)
	is(0, "")
}

// An encrypted page is sent to nodes that encrypt, by their names, and to no other; a player may be sent to any.
func TestOffers_Encrypted(t *testing.T) {
	o := &Offers{Now: time.Now}
	say := func(id, relay, name string, most uint32) {
		o.Pinged(&messages.Node{Id: id, Relay: relay}, name, &messages.ClockPing{PlayersAtMost: most})
	}
	from := netip.MustParseAddr("203.0.113.9")
	say("a", "203.0.113.3:71", "", 9)
	if place, found := o.Choose(from, true); found {
		t.Errorf("an encrypted page is sent to %v, which does not encrypt", place)
	}
	say("b", "203.0.113.4:72", "b.example", 1)
	place, found := o.Choose(from, true)
	if !found || place.Node != "b" || place.URL(true) != "https://b.example:72/stream.mp3" || place.URL(false) != "http://203.0.113.4:72/stream.mp3" {
		t.Errorf("an encrypted page is sent to %v, %v", place, found)
	}
	if place, found := o.Choose(from, true); found {
		t.Errorf("the only node that encrypts is full, and an encrypted page is sent to %v", place)
	}
	if place, found := o.Choose(from, false); !found || place.URL(true) != "http://203.0.113.3:71/stream.mp3" {
		t.Errorf("a player is sent to %v, %v", place, found)
	}
}

// No visitor is sent to an address that means something else, or nothing, in its network.
func TestOffers_Reached(t *testing.T) {
	for name, test := range map[string]struct {
		node, from, host string
		reached          bool
	}{
		"the same machine":                       {"127.0.0.1:5", "127.0.0.1:9", "localhost:7000", true},
		"the same machine, by its address":       {"127.0.0.1:5", "127.0.0.1:9", "127.0.0.1:7000", true},
		"the same machine, IPv6":                 {"[::1]:5", "[::1]:9", "[::1]:7000", true},
		"a phone, and a node beside the server":  {"127.0.0.1:5", "192.168.1.9:9", "192.168.1.2:7000", false},
		"likewise, IPv6":                         {"[::1]:5", "[2001:db8::1]:9", "[2001:db8::2]:7000", false},
		"a proxy asks for a phone":               {"127.0.0.1:5", "127.0.0.1:9", "radio.example", false},
		"a proxy asks, and the node is nearby":   {"192.168.1.3:5", "127.0.0.1:9", "radio.example", false},
		"a proxy asks, and the node is anywhere": {"203.0.113.7:5", "127.0.0.1:9", "radio.example", true},
		"in one network":                         {"192.168.1.3:5", "192.168.1.9:9", "192.168.1.2:7000", true},
		"in one network, written as IPv6":        {"192.168.1.3:5", "[::ffff:192.168.1.9]:9", "192.168.1.2:7000", true},
		"from outside, into the network":         {"192.168.1.3:5", "203.0.113.1:9", "203.0.113.9:7000", false},
		"from outside, behind a provider":        {"100.64.1.3:5", "203.0.113.1:9", "203.0.113.9:7000", false},
		"in one VPN":                             {"100.64.1.3:5", "100.64.1.9:9", "100.64.1.1:7000", true},
		"in the open":                            {"203.0.113.7:5", "203.0.113.1:9", "203.0.113.9:7000", true},
		"in the open, with IPv4 only":            {"[2001:db8::7]:5", "203.0.113.1:9", "203.0.113.9:7000", false},
		"on a link without a name":               {"[fe80::1%eth0]:5", "[fe80::2]:9", "[fe80::3]:7000", false},
	} {
		n := &offer{at: netip.MustParseAddrPort(test.node)}
		visitor := visitorOf(&http.Request{RemoteAddr: test.from, Host: test.host})
		if got := n.reached(visitor); got != test.reached {
			t.Errorf("%s: reached is %v", name, got)
		}
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

// With a token nothing is served without TLS: no page, no music, no news, and no field that would take the token.
func TestSentence(t *testing.T) {
	for said, want := range map[string]string{
		"": "", "try again": "Try again", "ça va.mp3 is gone": "Ça va.mp3 is gone", "“b.mp3” is gone": "“b.mp3” is gone",
	} {
		if got := sentence(said); got != want {
			t.Errorf("%q: %q, want %q", said, got, want)
		}
	}
}

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
