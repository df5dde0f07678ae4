package transport

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Only the server that made a pass knows it, until it ends; any other text is none.
func TestAuth_WebPass(t *testing.T) {
	auth, err := NewAuth("sesame", testKey)
	if err != nil {
		t.Fatal(err)
	}
	again, err := NewAuth("sesame", testKey)
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewAuth("another", testKey)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_800_000_000, 0)
	pass := auth.webPass(opensAll, now.Add(time.Hour))
	for name, test := range map[string]struct {
		auth  *Auth
		opens opening
		at    time.Time
		want  bool
	}{
		"now":                {auth, opensAll, now, true},
		"for the music only": {auth, opensMusic, now, false},
		"after a restart":    {again, opensAll, now, true},
		"with another token": {other, opensAll, now, false},
		"when it has ended":  {auth, opensAll, now.Add(time.Hour), false},
	} {
		if got := test.auth.knowsWeb(pass, test.opens, test.at); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		changed := []byte(pass)
		changed[rapid.IntRange(0, len(pass)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		if string(changed) != pass && auth.knowsWeb(string(changed), opensAll, now) {
			// The last letter has bits that say nothing.
			body, _ := passText.DecodeString(string(changed))
			if good, _ := passText.DecodeString(pass); string(body) != string(good) {
				t.Fatalf("%q is known", changed)
			}
		}
	})
}

// A browser's user may say wrong tokens as often as anybody at his address, and then not even the right one.
func TestRequests_WebEnter(t *testing.T) {
	auth, err := NewAuth("sesame", testKey)
	if err != nil {
		t.Fatal(err)
	}
	secure, err := ServerTLS(testKey, nil)
	if err != nil {
		t.Fatal(err)
	}
	l := listen(t)
	openRequests(t, l, func(c *RequestsConfig) {
		c.Auth, c.TLS = auth, secure
		c.Web = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			visit := VisitOf(r.Context())
			pass, err := visit.Enter(r.FormValue("token"))
			fmt.Fprintf(w, "%v %v %v", visit.Knows(pass), visit.Knows(""), err)
		})
	})
	conn := tls.Client(dial(t, l), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	r := bufio.NewReader(conn)
	say := func(token string) string {
		t.Helper()
		fmt.Fprintf(conn, "GET /?token=%s HTTP/1.1\r\nHost: radio\r\n\r\n", token)
		answer, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		return string(body)
	}
	if got := say("sesame"); got != "true false <nil>" {
		t.Errorf("the right token: %s", got)
	}
	for i := range wrongTokens {
		if got := say(fmt.Sprint("guess", i)); !strings.HasPrefix(got, "false false that is not") {
			t.Errorf("guess %d: %s", i, got)
		}
	}
	if got := say("sesame"); !strings.HasPrefix(got, "false false too many") {
		t.Errorf("after so many guesses: %s", got)
	}
}

// A browser gets a certificate that it understands, the same one after a restart; a listener gets the server's own.
func TestServerTLS_Certificates(t *testing.T) {
	shown := func(protocols ...string) string {
		cfg, err := ServerTLS(testKey, nil)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := cfg.GetCertificate(&tls.ClientHelloInfo{SupportedProtos: protocols})
		if err != nil {
			t.Fatal(err)
		}
		return string(cert.Certificate[0])
	}
	if shown("h2", "http/1.1") != shown("http/1.1") || shown() != shown("http/1.1") {
		t.Error("browsers get another certificate after a restart")
	}
	if shown(protocol) == shown("http/1.1") {
		t.Error("browsers get the listeners' certificate, which none understands")
	}
}
