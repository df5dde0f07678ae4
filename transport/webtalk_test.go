package transport

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

var casesWeb = []struct {
	line string
	web  bool
}{
	{"GET / HTTP/1.1", true},
	{"POST / HTTP/1.1", true},
	{"OPTIONS * HTTP/1.1", true},
	{"CONNECT radio:7000 HTTP/1.1", true},
	{"PRI * HTTP/2.0", true},
	{"brew http://pot/ HTTP/1.0", true},
	{"PLAY / HTTP/1.1", true}, // a page may make up a method
	{"play /x?y HTTP/1.1", true},
	{"HELLO /{} HTTP/1.1", true},

	{"PLAY song HTTP/1.1", false},
	{"play 1", false},
	{"PLAY Get / HTTP 1", false},
	{"PLAY the HTTP/1.1 song", false},
	{"SONGS", false},
	{"HELP", false},
	{"AUTH token HTTP/1.1", false},
	{`HELLO {"version":1}`, false},
	{"GET /", false},
	{"GET / HTTP/", false},
	{"HTTP/1.1 200 OK", false},
	{"", false},
}

func TestSpeaksWeb(t *testing.T) {
	for _, test := range casesWeb {
		if got := speaksWeb(test.line, false); got != test.web {
			t.Errorf("%q is HTTP: %v", test.line, got)
		}
	}
	for line, web := range map[string]bool{
		"GET /" + strings.Repeat("x", 4000): true, "GET /a b": true, "PLAY " + strings.Repeat("x", 4000): false, strings.Repeat("x", 4000): false, "": false,
	} {
		if got := speaksWeb(line, true); got != web {
			t.Errorf("%.20q…, cut, is HTTP: %v", line, got)
		}
	}
}

func FuzzSpeaksWeb(f *testing.F) {
	for _, test := range casesWeb {
		f.Add(test.line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		speaksWeb(line, true)
		word, wish := cutWord(line)
		if word == "PLAY" && !strings.Contains(wish, "/") && speaksWeb(line, false) {
			t.Errorf("a wish, %q, is taken for HTTP", line)
		}
	})
}

// handled answers everything, and says how often it was asked.
func handled(asked *atomic.Int64) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "%s %v", r.URL.Path, VisitOf(r.Context()).Secure())
	})
}

// Whatever a web page makes a browser send is answered as HTTP, and nothing in it is taken for lines.
func TestRequests_Web(t *testing.T) {
	const lines = "x\nPLAY 1\nPLAY 2\nHELLO {}\n"
	head := func(first string) string {
		return first + "\r\nHost: radio:7000\r\nOrigin: http://page.example\r\nContent-Length: 25\r\nConnection: close\r\n\r\n" + lines
	}
	for name, test := range map[string]struct {
		says string
		code int
	}{
		"a form":              {head("POST / HTTP/1.1"), 200},
		"a person":            {head("GET / HTTP/1.1"), 200},
		"only the head":       {"HEAD / HTTP/1.0\r\nHost: radio\r\n\r\n", 200},
		"a method of its own": {head("PLAY /1 HTTP/1.1"), 200},
		"bare newlines":       {strings.ReplaceAll(head("POST / HTTP/1.1"), "\r", ""), 200},
		"HTTP/2":              {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + lines, 505},
		"lines for headers":   {"POST / HTTP/1.1\n" + lines + "\n" + lines, 400},
		"an endless head":     {"POST / HTTP/1.1\r\n" + strings.Repeat("a: "+strings.Repeat("b", 1000)+"\r\n", 100) + "\r\n" + lines, 431},
		"a long target":       {head("GET /" + strings.Repeat("x", 5000) + " HTTP/1.1"), 200},
		"bytes in the target": {head("GET /\xff\x01 HTTP/1.1"), 400},
	} {
		t.Run(name, func(t *testing.T) {
			l, asked := listen(t), atomic.Int64{}
			openRequests(t, l, func(c *RequestsConfig) { c.Web = handled(&asked) })
			conn := dial(t, l)
			send(t, conn, []byte(test.says))
			request := &http.Request{Method: strings.SplitN(test.says, " ", 2)[0]}
			answer, err := http.ReadResponse(bufio.NewReader(conn), request)
			if err != nil {
				t.Fatal(err)
			}
			if answer.StatusCode != test.code || (test.code == 200) != (asked.Load() == 1) {
				t.Errorf("%d, asked %d times; want %d", answer.StatusCode, asked.Load(), test.code)
			}
			noWishes(t, l)
		})
	}
}

func noWishes(t *testing.T, l net.Listener) {
	t.Helper()
	conn := dial(t, l)
	send(t, conn, []byte("REQUESTS\nQUIT\n"))
	if got, err := io.ReadAll(conn); string(got) != sayNoWishes+"\n\n" {
		t.Errorf("afterwards: %q, %v", got, err)
	}
}

// Over TLS, too: a browser names its protocol, other programs may name none.
func TestRequests_WebOverTLS(t *testing.T) {
	cfg, err := ServerTLS(testKey, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		protocols []string
		says      string
		code      int
	}{
		"browser":                   {[]string{"h2", "http/1.1"}, "GET / HTTP/1.0\r\nHost: radio\r\n\r\n", 200},
		"browser, lines":            {[]string{"http/1.1"}, "PLAY 1\r\nPLAY 2\r\n\r\n", 400},
		"a program without a name":  {nil, "GET / HTTP/1.0\r\nHost: radio\r\n\r\nPLAY 1\n", 200},
		"a program with conga's":    {[]string{protocol}, "GET / HTTP/1.0\r\nHost: radio\r\n\r\nPLAY 1\n", 200},
		"a browser of another time": {[]string{"http/1.1", protocol}, "GET / HTTP/1.0\r\nHost: radio\r\n\r\nPLAY 1\n", 200},
	} {
		t.Run(name, func(t *testing.T) {
			l, asked := listen(t), atomic.Int64{}
			openRequests(t, l, func(c *RequestsConfig) { c.TLS, c.Web = cfg, handled(&asked) })
			conn := tls.Client(dial(t, l), &tls.Config{InsecureSkipVerify: true, NextProtos: test.protocols})
			send(t, conn, []byte(test.says))
			answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(answer.Body)
			if answer.StatusCode != test.code || test.code == 200 && string(body) != "/ true" {
				t.Errorf("%d, %q", answer.StatusCode, body)
			}
			noWishes(t, l)
		})
	}
}

// Requests over HTTP have the same limits and the same queue as all others.
func TestRequests_WebRequest(t *testing.T) {
	l := listen(t)
	openRequests(t, l, func(c *RequestsConfig) {
		c.Limits.Requests = 0.4 // two words, then no more
		c.Web = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answer, unsure, err := VisitOf(r.Context()).Request(r, r.FormValue("song"), r.FormValue("id"), "amy\x1b")
			fmt.Fprintf(w, "%+v %v %v", answer, unsure, err)
		})
	})
	conn := dial(t, l)
	r := bufio.NewReader(conn)
	for _, test := range []struct{ ask, want string }{
		{"song=bach.mp3", "an id"},
		{"song=nothing&id=1", "NO_SUCH_SONG"},
		{"song=bach.mp3&id=2", "bach.mp3"},
		{"song=beethoven.mp3&id=3", ErrTooMuch.Error()},
	} {
		fmt.Fprintf(conn, "GET /?%s HTTP/1.1\r\nHost: radio\r\n\r\n", test.ask)
		answer, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatalf("%s: %v", test.ask, err)
		}
		if body, _ := io.ReadAll(answer.Body); !strings.Contains(string(body), test.want) {
			t.Errorf("%s: %q, want %q in it", test.ask, body, test.want)
		}
	}
	other := dial(t, l)
	send(t, other, []byte("REQUESTS\nQUIT\n"))
	if got, err := io.ReadAll(other); string(got) != "1. bach.mp3\n\n" {
		t.Errorf("afterwards: %q, %v", got, err)
	}
}

// Browsers have their own places: however many there are, people with nc and listeners still get in.
func TestRequests_WebHasPlacesOfItsOwn(t *testing.T) {
	l := listen(t)
	openRequests(t, l, func(c *RequestsConfig) { c.Limits.Web, c.Limits.Visitors = 2, 1 })
	person := dial(t, l)
	send(t, person, []byte("HELP\n"))
	people := bufio.NewReader(person)
	if _, err := people.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	var browsers []*bufio.Reader
	for range 3 {
		conn := dial(t, l)
		send(t, conn, []byte("GET / HTTP/1.1\r\nHost: radio\r\n\r\n"))
		r := bufio.NewReader(conn)
		answer, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		browsers = append(browsers, r)
	}
	if _, err := browsers[0].ReadByte(); err == nil {
		t.Error("the oldest of three browsers has kept its place, of which there are two")
	}
	send(t, person, []byte("QUIT\n"))
	if _, err := io.ReadAll(people); err != nil {
		t.Errorf("the person lost its place: %v", err)
	}
}
