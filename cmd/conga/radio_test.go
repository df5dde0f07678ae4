package main

import (
	"encoding/json"
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"conga/cmd/internal/cli"
	"conga/cmd/internal/node"
)

// radioAt is a radio with conga's own songs.
func radioAt(t *testing.T, token string) string {
	t.Helper()
	return serving(t, node.ServerOptions{Songs: "../../songs", Token: token})
}

// serving is the address of a server that knows its songs.
func serving(t *testing.T, o node.ServerOptions) string {
	t.Helper()
	o.Listen, o.Data, o.Logger = "127.0.0.1:0", node.MemoryData(), slog.New(slog.DiscardHandler)
	server, err := node.StartServer(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	<-server.Server.SongsKnown()
	return server.Requests.Addr().String()
}

// awaitMusic waits until a song is on: one that is asked for before that is not queued but plays.
func awaitMusic(t *testing.T) {
	t.Helper()
	for {
		if _, out, _ := conga(t, "history"); strings.HasPrefix(out, "1. ") {
			return
		}
		if t.Context().Err() != nil {
			t.Fatal("no song is on")
		}
	}
}

// A script asks a radio as anybody may, with or without a token, and tells by the exit code what became of it.
func TestRadio(t *testing.T) {
	for _, token := range []string{"", "open sesame"} {
		t.Run("token "+token, func(t *testing.T) {
			t.Setenv("CONGA_SERVER", radioAt(t, token))
			if token != "" {
				t.Setenv("CONGA_AUTH", token)
			}
			awaitMusic(t)
			for _, test := range []struct {
				args []string
				code int
				out  string // begins so
				err  string // has that
			}{
				{[]string{"songs", "Prelude", "BACH"}, 0, "1  Prelude in C major, BWV 846 – Johann Sebastian Bach (bach.mp3)\n", ""},
				{[]string{"songs", "nosuch"}, cli.Failed, "", "nothing was found"},
				{[]string{"queue"}, 0, "nothing is requested\n", ""},
				{[]string{"play", "ode to joy"}, 0, "Song beethoven.mp3 has been requested!\n", ""},
				{[]string{"play", "ode", "to", "joy"}, cli.Failed, "", "conga play: Song has already been requested"},
				{[]string{"play", "nosuch"}, cli.Failed, "", "conga play: Song does not exist"},
				{[]string{"songs", "canon"}, 0, "3  Canon", ""}, // by that number conga play knows it
				{[]string{"play", "o"}, cli.Failed, "1  Prelude", "Several songs match"},
				{[]string{"queue"}, 0, "1. Ode to Joy – Ludwig van Beethoven", ""},
				{[]string{"cancel", "nosuch"}, cli.Failed, "", "That song is not waiting"},
				{[]string{"cancel"}, 0, "Song beethoven.mp3 has been cancelled\n", ""},
				{[]string{"cancel"}, cli.Failed, "", "You have no song waiting"},
				{[]string{"skip"}, cli.Failed, "", "--skip-votes"},
				{[]string{"who"}, 0, "Nobody listens at this time\n", ""},
				{[]string{"play", "a\nPLAY bach.mp3"}, cli.Failed, "", "Song does not exist"}, // one line, whatever is in the words
			} {
				code, out, err := conga(t, test.args...)
				if code != test.code || !strings.HasPrefix(out, test.out) || test.out == "" && out != "" || !strings.Contains(err, test.err) || code == 0 && err != "" {
					t.Errorf("conga %q: exit %d, %q, %q", test.args, code, out, err)
				}
			}
		})
	}
}

// What --json prints is for programs: its fields are a contract.
func TestRadio_JSON(t *testing.T) {
	t.Setenv("CONGA_SERVER", radioAt(t, ""))
	awaitMusic(t)
	fields := func(args ...string) (fields map[string]any, code int) {
		code, out, err := conga(t, append(args, "--json")...)
		if json.Unmarshal([]byte(out), &fields) != nil {
			t.Fatalf("conga %q: exit %d, %s, %s", args, code, out, err)
		}
		return fields, code
	}
	if said, code := fields("play", "ode to joy"); code != 0 || said["done"] != true || said["answer"].([]any)[0] != "Song beethoven.mp3 has been requested!" {
		t.Errorf("play: %d %v", code, said)
	}
	if said, code := fields("play", "nosuch"); code != cli.Failed || said["done"] != false {
		t.Errorf("play nosuch: %d %v", code, said)
	}
	if said, code := fields("songs", "bach"); code != 0 || said["total"] != 1.0 || said["songs"].([]any)[0].(map[string]any)["name"] != "bach.mp3" {
		t.Errorf("songs: %d %v", code, said)
	}
	if said, code := fields("songs", "nosuch"); code != cli.Failed || len(said["songs"].([]any)) != 0 {
		t.Errorf("songs nosuch: %d %v", code, said)
	}
	said, code := fields("queue")
	song := said["songs"].([]any)[0].(map[string]any)
	if code != 0 || song["title"] != "Ode to Joy" || song["artist"] != "Ludwig van Beethoven" || song["seconds"].(float64) < 30 {
		t.Errorf("queue: %d %v", code, said)
	}
	if said, code := fields("who"); code != 0 || len(said["listeners"].([]any)) != 0 || said["more"] != 0.0 {
		t.Errorf("who: %d %v", code, said)
	}
	if said, code := fields("history"); code != 0 || len(said["songs"].([]any)) != 0 { // the first song is on
		t.Errorf("history: %d %v", code, said)
	}
	said, _ = fields("status")
	for _, field := range []string{"server", "playing", "song", "songs", "queue", "listeners"} {
		if _, is := said[field]; !is {
			t.Errorf("status has no %s: %v", field, said)
		}
	}
	if said["songs"] != 3.0 || said["listeners"] != 0.0 {
		t.Errorf("status: %v", said)
	}
}

// Wrong tokens, and radios that are not there.
func TestRadio_Refused(t *testing.T) {
	secret := radioAt(t, "open sesame")
	at := netip.MustParseAddrPort(secret)
	stream := netip.AddrPortFrom(at.Addr(), at.Port()+1).String()
	for _, test := range []struct {
		args []string
		code int
		err  string
	}{
		{[]string{"status", secret}, cli.Failed, "it asks for a token: give it in CONGA_AUTH"},
		{[]string{"status", secret, "--auth", "wrong"}, cli.Failed, "refuses: That is not this server's token"},
		{[]string{"play", "1", "--server", secret}, cli.Failed, "asks for a token: give it in CONGA_AUTH"},
		{[]string{"play", "1", "--server", secret, "--auth", "wrong"}, cli.Failed, "refuses: That is not this server's token"},
		{[]string{"status", stream}, cli.Unreachable, "what listens at " + stream + " hangs up: give the requests=HOST:PORT address"},
		{[]string{"status", "127.0.0.1:1"}, cli.Unreachable, "nobody listens at 127.0.0.1:1"},
		{[]string{"play", "1", "--server", "127.0.0.1:1"}, cli.Unreachable, "nobody listens at 127.0.0.1:1"},
		{[]string{"status", "nosuch.invalid", "--auth", "x"}, cli.Failed, "the token is said only to a server whose key is known"},
		{[]string{"status", "conga://" + secret + "?key=" + strings.Repeat("1", 64)}, cli.Unreachable, "not the one that you gave"},
		{[]string{"play"}, cli.Usage, "it needs <words>"},
	} {
		if code, out, err := conga(t, test.args...); code != test.code || out != "" || !strings.Contains(err, test.err) || strings.Count(err, "\n") != 1 {
			t.Errorf("conga %q: exit %d, %q, %q", test.args, code, out, err)
		}
	}
}
