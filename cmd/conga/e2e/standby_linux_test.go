package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"conga/actors/eventlog/natstest"
	"conga/cmd/internal/keys"
)

// twoServers are where the servers of a radio are, and their data folders, which have the same key.
func twoServers(t *testing.T) (addrs, data [2]string) {
	t.Helper()
	addrs = [2]string{quietPair(t), quietPair(t)}
	for i := range data {
		data[i] = t.TempDir()
	}
	key := t.TempDir() + "/radio.key"
	if _, err := keys.Signing(data[0]); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"key", "export", key, "--data", data[0]}, {"key", "import", key, "--data", data[1]}} {
		if code, _, said := conga(t, args...); code != 0 {
			t.Fatal(said)
		}
	}
	return addrs, data
}

// warns waits until the process has logged that.
func (p *process) warns(t *testing.T, what string) {
	t.Helper()
	eventually(t, p.name+" says "+what, func() string {
		if !strings.Contains(p.err.String(), what) {
			return "it does not"
		}
		return ""
	})
}

// standing says where two servers of a radio are, whose log is on a server of NATS, and starts each.
func standing(t *testing.T) (addrs [2]string, start func(i int) *process) {
	t.Helper()
	nats := natstest.Start(t, 1)
	addrs, data := twoServers(t)
	return addrs, func(i int) *process {
		t.Helper()
		return launch(t, fmt.Sprint("server", i), "serve", "--songs", "../../../songs", "--listen", addrs[i], "--http", "127.0.0.1:0", "--data", data[i], "--no-mdns",
			"--log", nats.URL(), "--radio", "house", "--servers", strings.Join(addrs[:], ",")).awaitReady(t, serverReady)
	}
}

// A browser that opens a server that stands by gets the page of the one that leads, which says so. When that is killed, the page
// names the other one; when it is back and stands by, the page goes there by itself.
func TestE2E_PageLead(t *testing.T) {
	chromium(t)
	addrs, start := standing(t)
	first := start(0)
	first.warns(t, "this server leads")
	second := start(1)
	b := browse(t, 390, 844)
	b.do(t, chromedp.Navigate("http://"+addrs[1]+"/"))
	leads := func(i int) string {
		return fmt.Sprintf(`location.host == %q && document.querySelector('#lead')?.textContent.startsWith('This radio has 2 servers: %[1]s leads since ')`, addrs[i])
	}
	b.until(t, "the page is that of the server that leads", leads(0))
	if got, want := is[string](t, b, `document.querySelector('#join').textContent`), "conga join "+strings.Join(addrs[:], ","); got != want {
		t.Errorf("the page says %q, want %q", got, want)
	}
	first.kill()
	second.warns(t, "this server leads")
	b.until(t, "the page names the other one", fmt.Sprintf(`document.querySelector('#state a')?.href == 'http://%s/'`, addrs[1]))
	b.picture(t, "lead")
	start(0)
	eventually(t, "the page goes to the one that leads", func() string {
		var there bool
		if err := chromedp.Run(b, chromedp.Evaluate(leads(1), &there)); err != nil || !there {
			return fmt.Sprint("not yet: ", err) // on its way there it has no document
		}
		return ""
	})
}

// Two servers of a radio, whose log is on servers of NATS. One leads, and both say so; when it is killed, the other one does.
// What listeners hear meanwhile, conga-chaos servers tries.
func TestE2E_Standby(t *testing.T) {
	t.Parallel()
	addrs, start := standing(t)
	servers := [2]*process{start(0)}
	leads := func(i int) {
		t.Helper()
		servers[i].warns(t, "this server leads")
	}
	leads(0)
	servers[1] = start(1)
	gone := quietPair(t) // whoever names several servers may name one that is not there
	status := func(matches string) {
		t.Helper()
		eventually(t, "conga status says "+matches, func() string {
			if code, said, _ := conga(t, "status", gone+","+addrs[1]); code != 0 || !regexp.MustCompile("^"+matches).MatchString(said) {
				return fmt.Sprintf("exit %d, %s", code, said)
			}
			return ""
		})
	}
	status(fmt.Sprintf("%s leads since [-0-9]+ [:0-9]+, %s stands by and has all of the radio's songs \\(3\\)\nplays ", addrs[0], addrs[1]))
	for i, want := range []string{"conga_leads 1\n", "conga_leads 0\n"} {
		answer, err := http.Get("http://" + servers[i].ready["http"] + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		said, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if said := string(said); err != nil || !strings.Contains(said, want) || !strings.Contains(said, "conga_lead_start_time_seconds 1.") || !strings.Contains(said, "conga_songs_lacking 0\n") {
			t.Errorf("%s has no %s", servers[i].name, want)
		}
	}
	guest := launch(t, "guest", "join", gone+","+addrs[1], "--name", "guest", "--output", "null", "--listen", "127.0.0.1:0").awaitReady(t, listenerReady)
	guest.hears(t)
	servers[0].kill()
	leads(1)
	status(addrs[1] + " leads since [-0-9]+ [:0-9]+; it is one of 2 servers\nplays ")
}

// A server without any songs fetches those of the one that leads, and goes on with them when that is killed. The first one comes back
// with files of other names, and goes on with those. What a listener is sent all the while is what the first one's files have, byte
// for byte.
func TestE2E_SharedSongs(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t, 1)
	addrs, data := twoServers(t)
	log := []string{"--log", nats.URL(), "--radio", "house"}
	start := func(i int, songs string) *process {
		return launch(t, fmt.Sprint("server", i), append([]string{
			"serve", "--songs", songs, "--share-songs", "--listen", addrs[i], "--http", "127.0.0.1:0", "--data", data[i], "--no-mdns", "--slack", "4s",
			"--servers", strings.Join(addrs[:], ","),
		}, log...)...).awaitReady(t, serverReady)
	}
	first := start(0, "../../../songs")
	first.warns(t, "this server leads")
	second := start(1, "nats")
	second.warns(t, "this server has all songs of the radio")
	guest := launch(t, "guest", "join", strings.Join(addrs[:], ","), "--name", "guest", "--output", "null", "--listen", "127.0.0.1:0", "--players", "1").awaitReady(t, listenerReady)
	guest.hears(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	stream := tune(ctx, t, guest.relay(), false).Body
	var recorded bytes.Buffer
	hear := func(seconds int64) {
		t.Helper()
		if _, err := io.CopyN(&recorded, stream, seconds*16_000); err != nil {
			t.Fatal(err)
		}
	}
	hear(2)
	first.kill()
	second.warns(t, "this server leads")
	hear(6) // more than was sent before

	other := t.TempDir()
	for i, name := range []string{"bach.mp3", "beethoven.mp3", "pachelbel.mp3"} {
		content, err := os.ReadFile("../../../songs/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(fmt.Sprintf("%s/%d.mp3", other, i), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first = start(0, other)
	first.warns(t, "this server has all songs of the radio")
	second.kill()
	first.warns(t, "this server leads")
	hear(6)
	guest.unhurt(t)
	for _, server := range []*process{first, second} {
		for _, bad := range []string{"song cannot", "song broke off", "lacks songs of the radio, and could not"} {
			if strings.Contains(server.err.String(), bad) {
				t.Errorf("%s: %s", server.name, bad)
			}
		}
	}
	if answer := netcat(t, first.requests(), "SONGS\n"); !strings.Contains(answer, "bach") || strings.Contains(answer, "0.mp3") {
		t.Errorf("the songs are %s", answer)
	}
	stop()
	rendersAll(t, recorded.Bytes(), append([]string{"--songs", other, "--data", data[0]}, log...)...)
}

// Other music than mp3 is converted once, by the server that leads. One that stands by without ffmpeg and without any file plays the same
// bytes when it takes over in the middle of the song, and can make them again.
func TestE2E_SharedConverted(t *testing.T) {
	t.Parallel()
	songs := t.TempDir()
	makeSong(t, songs, "air.flac", 60, "-c:a", "flac")
	nats := natstest.Start(t, 1)
	addrs, data := twoServers(t)
	log := []string{"--log", nats.URL(), "--radio", "house"}
	start := func(i int, songs string, more ...string) *process {
		return launchOn(t, fmt.Sprint("server", i), func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, more...) }, append([]string{
			"serve", "--songs", songs, "--share-songs", "--listen", addrs[i], "--http", "127.0.0.1:0", "--data", data[i], "--no-mdns", "--slack", "4s",
			"--servers", strings.Join(addrs[:], ","),
		}, log...)...).awaitReady(t, serverReady)
	}
	first := start(0, songs)
	first.warns(t, "this server leads")
	second := start(1, "nats", "PATH=/nowhere")
	second.warns(t, "has all songs of the radio\" songs=1")
	guest := launch(t, "guest", "join", strings.Join(addrs[:], ","), "--name", "guest", "--output", "null", "--listen", "127.0.0.1:0", "--players", "1").awaitReady(t, listenerReady)
	guest.hears(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	stream := tune(ctx, t, guest.relay(), false).Body
	var recorded bytes.Buffer
	hear := func(seconds int64) {
		t.Helper()
		if _, err := io.CopyN(&recorded, stream, seconds*24_000); err != nil {
			t.Fatal(err)
		}
	}
	hear(2)
	first.kill()
	second.warns(t, "this server leads")
	hear(8) // more than was sent before
	guest.unhurt(t)
	for _, bad := range []string{"song cannot", "song broke off"} {
		if strings.Contains(second.err.String(), bad) {
			t.Errorf("the second server says: %s", bad)
		}
	}
	stop()
	for i, of := range []string{songs, "nats"} {
		rendersAll(t, recorded.Bytes(), append([]string{"--songs", of, "--data", data[i]}, log...)...)
	}
}
