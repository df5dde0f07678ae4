package transport

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"conga/messages"
)

// Players are sent to a listener by a name only if that name leads to its relay. No name is looked up that cannot be one, or
// for a listener whose port nobody reaches.
func TestRequests_PlaysAs(t *testing.T) {
	amys := listen(t)
	openStreams(t, amys, func(c *StreamsConfig) { c.Identity = amy })
	here := amys.Addr().String()
	for name, test := range map[string]struct {
		relay, says string
		looks, want bool
	}{
		"her own":             {here, "amy.example", true, true},
		"somebody else's":     {here, "bank.example", true, false},
		"nobody's":            {here, "nowhere.example", true, false},
		"no name":             {here, "amy.example:443/x?", false, false},
		"an endless name":     {here, strings.Repeat("a.", maxHost) + "example", false, false},
		"nothing":             {here, "", false, false},
		"who takes no player": {"", "amy.example", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			looked, pinged := make(chan string, 1), make(chan string, 1)
			l := listen(t)
			house := openRequests(t, l, func(c *RequestsConfig) {
				c.Resolve = func(_ context.Context, host string) ([]netip.Addr, error) {
					looked <- host
					switch host {
					case "amy.example":
						return []netip.Addr{netip.MustParseAddr("203.0.113.5"), netip.MustParseAddr("::ffff:127.0.0.1")}, nil
					case "bank.example":
						return []netip.Addr{netip.MustParseAddr("203.0.113.5")}, nil
					}
					return nil, errors.New("no such host")
				}
				c.Pinged = func(_ *messages.Node, name string, _ *messages.ClockPing) { pinged <- name }
			})
			conn := secure(t, dial(t, l), amy)
			conn.member.PlaysAs(test.says)
			sayLine(t, conn, conn.Introduce(&messages.Hello{Version: 1, Node: &messages.Node{Relay: test.relay}}))
			r := bufio.NewReader(conn)
			readLine[*messages.Welcome](t, r)
			await[*messages.JoinChain](t, house.chain)
			if test.looks {
				if got := <-looked; got != test.says {
					t.Fatalf("the server looks up %q", got)
				}
			}
			for n := 0; ; n++ { // the answer may need a moment
				sayLine(t, conn, &messages.ClockPing{SentUs: 1})
				got := <-pinged
				readLine[*messages.ClockPong](t, r)
				switch {
				case got != "" && (!test.want || got != test.says):
					t.Fatalf("players are sent to %q", got)
				case got != "" || !test.want && n == 20:
					return
				}
			}
		})
	}
}

// A stream port with a certificate plays inside TLS and in clear; one without takes no TLS for HTTP. Listeners come in as before.
func TestStreams_PlayersTLS(t *testing.T) {
	browsers, err := unsigned(testKey)
	if err != nil {
		t.Fatal(err)
	}
	l := listen(t)
	openStreams(t, l, func(s *StreamsConfig) {
		s.Players = 2
		s.TLS = PlayersTLS(func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return browsers, nil })
		s.Web = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.TLS != nil {
				_, _ = io.WriteString(w, "encrypted ")
			}
			_, _ = io.WriteString(w, "music")
		})
	})
	ask := func(conn net.Conn) string {
		t.Helper()
		defer conn.Close()
		send(t, conn, []byte("GET /stream.mp3 HTTP/1.1\r\nHost: amy\r\nConnection: close\r\n\r\n"))
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		return string(body)
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		secure := tls.Client(dial(t, l), &tls.Config{InsecureSkipVerify: true, MaxVersion: version})
		if got := ask(secure); got != "encrypted music" {
			t.Errorf("inside TLS %x: %q", version, got)
		}
	}
	if got := ask(dial(t, l)); got != "music" {
		t.Errorf("in clear: %q", got)
	}
	conn := dial(t, l)
	send(t, conn, hiOf(t, 0))
	readFrame(t, bufio.NewReader(conn), messages.KindHi)

	bare := listen(t)
	openStreams(t, bare, func(s *StreamsConfig) {
		s.Players = 1
		s.Web = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("TLS was taken for HTTP") })
	})
	if err := tls.Client(dial(t, bare), &tls.Config{InsecureSkipVerify: true}).Handshake(); err == nil {
		t.Error("a port without a certificate speaks TLS")
	}
}
