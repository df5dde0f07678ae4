package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"conga/cmd/internal/congatest"
)

// tune asks for the music as a player does, with titles if it wants them, and follows the server's word.
func tune(ctx context.Context, t testing.TB, addr string, titles bool) *http.Response {
	t.Helper()
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/stream.mp3", nil)
	if err != nil {
		t.Fatal(err)
	}
	if titles {
		ask.Header.Set("Icy-MetaData", "1")
	}
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(ask)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = answer.Body.Close() })
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "audio/mpeg" {
		t.Fatalf("%s: %s %v", addr, answer.Status, answer.Header)
	}
	return answer
}

// The same songs come out of every node, frame by frame from a whole one on: also while the one above it is killed. Whoever asked for
// titles has each where its song begins.
func TestE2E_PlayersHearTheSongs(t *testing.T) {
	t.Parallel()
	server := launchServer(t, congatest.Songs(t, congatest.Short), t.TempDir())
	chain := joinChain(t, server, "amy", "bob")
	cem := launchListener(t, server, "cem", "--players", "2").awaitReady(t, listenerReady)
	cem.hears(t)
	want := map[string][]byte{}
	for name, cut := range congatest.Short {
		want[strings.TrimSuffix(name, ".mp3")] = cut.Frames(t)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	for _, at := range []string{cem.relay(), cem.ready["http"], server.ready["http"]} { // one after the other: each begins in another song
		tune(ctx, t, at, false)
	}
	music := bufio.NewReader(tune(ctx, t, cem.relay(), true).Body)
	title, heard, songs := "", []byte(nil), 0
	for songs < 3 {
		heard = append(heard, make([]byte, 1024)...)
		if _, err := io.ReadFull(music, heard[len(heard)-1024:]); err != nil {
			t.Fatalf("in %q: %v", title, err)
		}
		blocks, err := music.ReadByte()
		if err != nil {
			t.Fatal(err)
		}
		if blocks == 0 {
			continue
		}
		said := make([]byte, int(blocks)*16)
		if _, err := io.ReadFull(music, said); err != nil {
			t.Fatal(err)
		}
		next := strings.TrimSuffix(strings.TrimPrefix(strings.TrimRight(string(said), "\x00"), "StreamTitle='"), "';")
		if want[next] == nil {
			t.Fatalf("a title %q", said)
		}
		// The song begins within the last bytes before its title; before it stands the end of another, or as much of that as the
		// player came in for.
		if title != "" {
			begin := len(heard)
			for begin > max(0, len(heard)-1024) && !(bytes.HasPrefix(want[next], heard[begin:]) && bytes.HasSuffix(want[title], heard[:begin])) {
				begin--
			}
			if !bytes.HasSuffix(want[title], heard[:begin]) || begin == len(heard) {
				t.Fatalf("%q is said where it does not begin, or %q before it was heard otherwise than it is", next, title)
			}
			heard = append([]byte(nil), heard[begin:]...)
			songs++
		}
		if title = next; songs == 1 {
			killUpstream(t, cem, chain)
		}
	}
	if l := cem.dump(t).Live.Relay; l.Splices == 0 {
		t.Error("cem has not been spliced: this test has killed the wrong one")
	}
}

// killUpstream kills the one of the chain that feeds the listener. On a busy machine that is not always its neighbour.
func killUpstream(t *testing.T, listener *process, chain []*process) {
	t.Helper()
	up := listener.dump(t).Live.Relay.Upstream
	for _, p := range chain {
		if p.name == up {
			p.kill()
			return
		}
	}
	t.Fatalf("%s feeds %s", up, listener.name)
}

// allOffer waits until the server's page says that so many nodes would play for `each` others.
func allOffer(ctx context.Context, t *testing.T, server *process, nodes, each int) {
	t.Helper()
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+server.requests()+"/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(ask)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	news := bufio.NewScanner(answer.Body)
	for about := ""; news.Scan(); {
		if name, is := strings.CutPrefix(news.Text(), "event: "); is {
			about = name
		}
		body, is := strings.CutPrefix(news.Text(), "data: ")
		if about != "vitals" || !is {
			continue
		}
		var vitals map[string][5]int
		if err := json.Unmarshal([]byte(body), &vitals); err != nil {
			t.Fatal(err)
		}
		ready := 0
		for _, of := range vitals {
			if of[3] == each {
				ready++
			}
		}
		if ready == nodes {
			return
		}
	}
	t.Fatal("the page's news have ended: ", news.Err())
}

// The server sends players to nodes that play for others: it uploads one stream, however many listen.
func TestE2E_PlayersCostTheServerNothing(t *testing.T) {
	const nodes, each = 5, 10
	server := launchServer(t, congatest.Dir, t.TempDir())
	for i := range nodes {
		launchListener(t, server, fmt.Sprint("node", i), "--players", fmt.Sprint(each)).awaitReady(t, listenerReady).hears(t)
	}
	ctx, stop := context.WithTimeout(context.Background(), 3*patience)
	defer stop()
	where := map[string]int{}
	var players []*http.Response
	allOffer(ctx, t, server, nodes, each)
	for range nodes * each {
		answer := tune(ctx, t, server.requests(), false)
		where[answer.Request.URL.Host]++
		players = append(players, answer)
	}
	if where[server.requests()] > 0 || len(where) != nodes {
		t.Errorf("players were sent to %v", where)
	}
	before := server.dump(t).Live.Pacer
	var all sync.WaitGroup
	for _, p := range players {
		all.Go(func() {
			if n, err := io.CopyN(io.Discard, p.Body, 200_000); err != nil { // more than the beginning that it gets at once
				t.Errorf("after %d bytes: %v", n, err)
			}
		})
	}
	all.Wait()
	after := server.dump(t).Live.Pacer
	music := 200_000 - 3*16_000 // of which each had so much at first
	sent := after.BytesSent - before.BytesSent
	t.Logf("%d players at %v have %d bytes each; meanwhile the server has sent %d", len(players), where, 200_000, sent)
	if float64(sent) > 1.1*200_000 || sent < int64(music)/2 {
		t.Errorf("the server has sent %d bytes while each player got 200000", sent)
	}
}

// A player that does not read is cut, and the listeners of its node hear on.
func TestE2E_PlayerDoesNotRead(t *testing.T) {
	t.Parallel()
	server := launchServer(t, congatest.Dir, t.TempDir())
	amy := launchListener(t, server, "amy", "--players", "1").awaitReady(t, listenerReady)
	bob := launchListener(t, server, "bob").awaitReady(t, listenerReady)
	bob.hears(t)
	conn, err := net.Dial("tcp", amy.relay())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	fmt.Fprint(conn, "GET /stream.mp3 HTTP/1.0\r\nHost: amy\r\n\r\n")
	full := func() bool {
		answer, err := http.Head("http://" + amy.relay() + "/stream.mp3")
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode == http.StatusServiceUnavailable
	}
	eventually(t, "its place is taken", func() string {
		if !full() {
			return "not yet"
		}
		return ""
	})
	eventually(t, "it is cut", func() string {
		if full() {
			return "it has its place"
		}
		return ""
	})
	bob.hears(t)
	bob.unhurt(t)
}

// ffmpeg, which many players are made of, decodes the stream of a node without an error and gets as much music as it asked for:
// songs change meanwhile, and whoever feeds the node is killed.
func TestE2E_FFmpegPlays(t *testing.T) {
	t.Parallel()
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("there is no ffmpeg on this machine: sudo apt-get install ffmpeg")
	}
	const seconds, rate = 20, 44100
	songs := congatest.Songs(t, map[string]congatest.Cut{ // their first frames need none before them
		"air.mp3": {From: "bach.mp3", N: 150}, "canon.mp3": {From: "pachelbel.mp3", N: 150},
	})
	server := launchServer(t, songs, t.TempDir())
	chain := joinChain(t, server, "amy", "bob")
	cem := launchListener(t, server, "cem", "--players", "1").awaitReady(t, listenerReady)
	cem.hears(t)
	var said output
	decode := exec.Command(ffmpeg, "-nostdin", "-hide_banner", "-loglevel", "warning", "-t", fmt.Sprint(seconds),
		"-i", "http://"+cem.relay()+"/stream.mp3", "-f", "s16le", "-")
	decode.Stderr = &said
	samples, err := decode.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := decode.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = decode.Process.Kill() }()
	got := int64(0)
	before := len(server.dump(t).Live.Pacer.Songs)
	buf := make([]byte, 64<<10)
	for killed := false; ; {
		n, err := samples.Read(buf)
		got += int64(n)
		if !killed && got > seconds*rate*4/2 {
			killUpstream(t, cem, chain)
			killed = true
		}
		if err != nil {
			break
		}
	}
	if err := decode.Wait(); err != nil {
		t.Errorf("ffmpeg: %v", err)
	}
	if said.String() != "" {
		t.Errorf("ffmpeg says %q", said.String())
	}
	if got != seconds*rate*4 {
		t.Errorf("%d s are %d bytes, and it decoded %d", seconds, seconds*rate*4, got)
	}
	if len(server.dump(t).Live.Pacer.Songs) == before || cem.dump(t).Live.Relay.Splices == 0 {
		t.Error("no song has changed, or cem has not been spliced")
	}
}
