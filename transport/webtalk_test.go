package transport

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
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

// What a web page has a browser send is answered as HTTP, and nothing in it is done.
func TestRequests_Web(t *testing.T) {
	const lines = "x\nPLAY 1\nPLAY 2\nHELLO {}\n"
	head := func(first string) string {
		return first + "\r\nHost: radio:7000\r\nOrigin: http://page.example\r\nContent-Length: 26\r\n\r\n" + lines
	}
	for name, test := range map[string]struct {
		says string
		code int
	}{
		"a form":              {head("POST / HTTP/1.1"), 405},
		"a person":            {head("GET / HTTP/1.1"), 200},
		"only the head":       {"HEAD / HTTP/1.1\r\nHost: radio\r\n\r\n", 200},
		"another page":        {head("GET /PLAY%201 HTTP/1.1"), 404},
		"a method of its own": {head("PLAY /1 HTTP/1.1"), 405},
		"bare newlines":       {strings.ReplaceAll(head("POST / HTTP/1.1"), "\r", ""), 405},
		"HTTP/2":              {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + lines, 505},
		"lines for headers":   {"POST / HTTP/1.1\n" + lines + "\n" + lines, 400},
		"an endless head":     {"POST / HTTP/1.1\r\n" + strings.Repeat("a: "+strings.Repeat("b", 1000)+"\r\n", 100) + "\r\n" + lines, 431},
		"a long target":       {head("GET /" + strings.Repeat("x", 5000) + " HTTP/1.1"), 414},
		"bytes in the target": {head("GET /\xff\x01 HTTP/1.1"), 400},
	} {
		t.Run(name, func(t *testing.T) {
			l := listen(t)
			openRequests(t, l, nil)
			conn := dial(t, l)
			send(t, conn, []byte(test.says))
			request := &http.Request{Method: strings.SplitN(test.says, " ", 2)[0]}
			answer, err := http.ReadResponse(bufio.NewReader(conn), request)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(answer.Body)
			if answer.StatusCode != test.code || err != nil || string(body) != webPage != (request.Method == http.MethodHead) {
				t.Errorf("%d, %q, %v; want %d", answer.StatusCode, body, err, test.code)
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
	cfg, err := ServerTLS(testKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		protocols []string
		says      string
		code      int
	}{
		"browser":                   {[]string{"h2", "http/1.1"}, "GET / HTTP/1.1\r\nHost: radio\r\n\r\n", 200},
		"browser, lines":            {[]string{"http/1.1"}, "PLAY 1\r\nPLAY 2\r\n\r\n", 400},
		"a program without a name":  {nil, "POST / HTTP/1.1\r\nHost: radio\r\n\r\nPLAY 1\n", 405},
		"a program with conga's":    {[]string{protocol}, "POST / HTTP/1.1\r\nHost: radio\r\n\r\nPLAY 1\n", 405},
		"a browser of another time": {[]string{"http/1.1", protocol}, "POST / HTTP/1.1\r\nHost: radio\r\n\r\nPLAY 1\n", 405},
	} {
		t.Run(name, func(t *testing.T) {
			l := listen(t)
			openRequests(t, l, func(c *RequestsConfig) { c.TLS = cfg })
			conn := tls.Client(dial(t, l), &tls.Config{InsecureSkipVerify: true, NextProtos: test.protocols})
			send(t, conn, []byte(test.says))
			answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(answer.Body); answer.StatusCode != test.code || string(body) != webPage || err != nil {
				t.Errorf("%d, %q, %v", answer.StatusCode, body, err)
			}
			noWishes(t, l)
		})
	}
}
