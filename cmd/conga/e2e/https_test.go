package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"conga/cmd/internal/cli"
	"conga/cmd/internal/congatest"
)

// trusting is a browser's http client that knows who has signed the certificate, and keeps cookies.
func trusting(t *testing.T, certFile string) *http.Client {
	t.Helper()
	pem, err := os.ReadFile(certFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		t.Fatal("no certificate in ", certFile)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{
		Jar:       jar,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, NextProtos: []string{"h2", "http/1.1"}}, DisableKeepAlives: true},
	}
}

// asks gets or, with a body, posts; it returns the status and what it read of the answer.
func asks(t *testing.T, client *http.Client, url, body string) (code int, answer string) {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	ask, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		ask.Header.Set("Content-Type", "application/json")
	}
	got, err := client.Do(ask)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	said, err := io.ReadAll(io.LimitReader(got.Body, 30_000)) // the music has no end
	if err != nil {
		t.Fatal(err)
	}
	return got.StatusCode, string(said)
}

// The operator's certificate makes https work at the same port, for whoever trusts it: page, music, playlists. Listeners
// come in as before, by the server's own key.
func TestE2E_HTTPS(t *testing.T) {
	t.Parallel()
	cert, key := congatest.Certify(t, t.TempDir(), time.Now().Add(time.Hour), "radio.example")
	server := launchServer(t, congatest.Dir, t.TempDir(), "--tls-cert", cert, "--tls-key", key)
	joinChain(t, server, "amy")[0].hears(t)
	client, at := trusting(t, cert), "https://"+server.requests()
	if code, page := asks(t, client, at+"/", ""); code != 200 || !strings.Contains(page, "<title>conga") {
		t.Errorf("the page: %d %.100q", code, page)
	}
	if code, music := asks(t, client, at+"/stream.mp3", ""); code != 200 || len(music) < 30_000 || music[0] != 0xff {
		t.Errorf("the music: %d, %d bytes", code, len(music))
	}
	if _, list := asks(t, client, at+"/listen.m3u", ""); !strings.Contains(list, at+"/stream.mp3\n") {
		t.Errorf("the playlist: %q", list)
	}
	if code, page := asks(t, http.DefaultClient, "http://"+server.requests()+"/", ""); code != 200 || !strings.Contains(page, "<title>conga") {
		t.Errorf("the page in clear: %d %.100q", code, page)
	}
	if said := server.err.String(); !strings.Contains(said, "listen in a browser: https://radio.example:") {
		t.Errorf("the host is told %q", said)
	}

	serve := []string{"serve", "--songs", congatest.Dir, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", t.TempDir(), "--tls-cert", cert}
	if got := fails(t, cli.Failed, serve...); !strings.Contains(got, "--tls-key") {
		t.Errorf("without a key it says %q", got)
	}
	if got := fails(t, cli.Failed, append(serve, "--tls-key", cert)...); !strings.Contains(got, "they must be PEM files") {
		t.Errorf("with a wrong key it says %q", got)
	}
}

// With a token, too, players are sent to the nodes that play for others: the pass of a playlist leads to a node, which takes
// no other pass and nobody without.
func TestE2E_PlayersBehindAToken(t *testing.T) {
	cert, key := congatest.Certify(t, t.TempDir(), time.Now().Add(time.Hour))
	t.Setenv("CONGA_AUTH", "open sesame")
	server := launchServer(t, congatest.Dir, t.TempDir(), "--tls-cert", cert, "--tls-key", key)
	amy := launchListener(t, server, "amy", "--players", "1").awaitReady(t, listenerReady)
	amy.hears(t)
	at, member, player := "https://"+server.requests(), trusting(t, cert), trusting(t, cert)
	if code, said := asks(t, member, at+"/enter", `{"token":"open sesame"}`); code != 200 {
		t.Fatalf("the token: %d %q", code, said)
	}
	_, list := asks(t, member, at+"/listen.m3u", "")
	entry := strings.Split(list, "\n")[2]
	player.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Host == amy.relay() {
			return nil
		}
		return fmt.Errorf("it is sent to %s", r.URL)
	}
	var last *url.URL
	eventually(t, "a player is sent to amy", func() string {
		ask, err := player.Get(entry)
		if err != nil {
			return err.Error()
		}
		defer ask.Body.Close()
		if last = ask.Request.URL; last.Host != amy.relay() {
			return "the server plays itself"
		}
		if music, err := io.ReadAll(io.LimitReader(ask.Body, 30_000)); ask.StatusCode != 200 || len(music) < 30_000 || music[0] != 0xff {
			t.Fatalf("amy plays %d bytes, %s, %v", len(music), ask.Status, err)
		}
		return ""
	})
	if strings.Contains(entry, last.Query().Get("pass")) {
		t.Error("the node gets the pass that opens the server's music")
	}
	for _, url := range []string{"http://" + amy.relay() + "/stream.mp3", "http://" + amy.relay() + "/stream.mp3" + entry[strings.Index(entry, "?"):]} {
		if code, said := asks(t, http.DefaultClient, url, ""); code != http.StatusForbidden || !strings.Contains(said, "asks for a token") {
			t.Errorf("%s: %d %.100q", url, code, said)
		}
	}
}

// With a token the page is behind a door: nothing in clear, nothing without the token, all with it; a player gets in by its playlist.
func TestE2E_PageBehindAToken(t *testing.T) {
	const token = "open sesame"
	cert, key := congatest.Certify(t, t.TempDir(), time.Now().Add(time.Hour))
	t.Setenv("CONGA_AUTH", token)
	server := launchServer(t, congatest.Dir, t.TempDir(), "--tls-cert", cert, "--tls-key", key)
	at := "https://" + server.requests()
	stranger, member := trusting(t, cert), trusting(t, cert)
	inside := []string{"/live", "/songs", "/stream.mp3", "/listen.m3u", "/app.js", "/log", "/at?event=1", "/cover?song=bach.mp3"}
	for _, path := range inside {
		if code, said := asks(t, stranger, at+path, ""); code != http.StatusForbidden {
			t.Errorf("%s without the token: %d %.100q", path, code, said)
		}
	}
	if _, page := asks(t, stranger, at+"/", ""); !strings.Contains(page, "asks for a token") {
		t.Errorf("a stranger sees %.100q", page)
	}
	if code, said := asks(t, stranger, at+"/enter", `{"token":"guess"}`); code != http.StatusForbidden || !strings.Contains(said, "not this server's token") {
		t.Errorf("a wrong token: %d %q", code, said)
	}
	body, err := json.Marshal(map[string]string{"token": token})
	if err != nil {
		t.Fatal(err)
	}
	if code, said := asks(t, member, at+"/enter", string(body)); code != 200 {
		t.Fatalf("the right token: %d %q", code, said)
	}
	if _, page := asks(t, member, at+"/", ""); !strings.Contains(page, "Ask for a song") {
		t.Errorf("a member sees %.100q", page)
	}
	if code, said := asks(t, member, at+"/request", `{"song":"bach.mp3","name":"amy"}`); code != 200 {
		t.Errorf("a member asks for a song: %d %q", code, said)
	}
	_, list := asks(t, member, at+"/listen.m3u", "")
	stream := list[strings.LastIndex(strings.TrimSpace(list), "\n")+1:]
	if code, music := asks(t, stranger, strings.TrimSpace(stream), ""); code != 200 || !bytes.HasPrefix([]byte(music), []byte{0xff}) {
		t.Errorf("a player with a member's playlist, %q: %d", list, code)
	}
	if code, _ := asks(t, stranger, at+"/songs"+strings.TrimSpace(stream[strings.Index(stream, "?"):]), ""); code != http.StatusForbidden {
		t.Errorf("what opens the music opens the page, too: %d", code)
	}
	player, err := url.Parse(strings.TrimSpace(stream))
	if err != nil {
		t.Fatal(err)
	}
	stranger.Jar.SetCookies(player, []*http.Cookie{{Name: "__Host-conga", Value: player.Query().Get("pass"), Path: "/", Secure: true}})
	if code, _ := asks(t, stranger, at+"/songs", ""); code != http.StatusForbidden {
		t.Errorf("the pass of a playlist opens the page as a cookie: %d", code)
	}
}
