package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"conga/cmd/internal/congatest"
)

// netcatFrom is netcat from another address of this machine: to the server it is another person.
func netcatFrom(t testing.TB, from, addr, said string) string {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
	conn, err := dialer.DialContext(context.WithoutCancel(t.Context()), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, said+"QUIT\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

// Two people ask, one for ten songs and one for one: that plays second. They cancel, and skip a song together; HISTORY
// has it. The log gives the same state, byte for byte, also of a server that was started with the other order.
func TestE2E_FairQueue(t *testing.T) {
	t.Parallel()
	names := strings.Split("abcdefghijklm", "")
	cuts := map[string]congatest.Cut{}
	for i := range names {
		names[i] += ".mp3"
		cuts[names[i]] = congatest.Cut{From: "bach.mp3", First: i, N: 1400}
	}
	songs, data := congatest.Songs(t, cuts), t.TempDir()
	server := launchServer(t, songs, data, "--queue", "fair", "--skip-votes", "2")
	awaitPlaying(t, server)
	const amy, bob = "127.0.0.2", "127.0.0.3"
	say := func(who, said string) string {
		t.Helper()
		return bare(netcatFrom(t, who, server.requests(), said+"\n"))
	}
	expect := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
	requested := func(song string) string { return "Song " + song + " has been requested!\n" }
	for _, song := range names[:10] {
		expect(say(amy, "PLAY "+song), requested(song))
	}
	expect(say(amy, "PLAY k"), "You have 10 songs waiting. CANCEL one, or wait until one has played.\n")
	expect(say(bob, "PLAY l"), requested("l.mp3"))
	queue := func(songs ...string) (lines string) {
		for i, song := range songs {
			lines += fmt.Sprintf("%d. %s\n", i+1, song)
		}
		return lines + "\n"
	}
	order := slices.Concat([]string{"a.mp3", "l.mp3"}, names[1:10])
	expect(say(bob, "REQUESTS"), queue(order...))
	expect(say(bob, "CANCEL a"), "Somebody else asked for that song: only they may cancel it\n")
	expect(say(amy, "CANCEL"), "Song j.mp3 has been cancelled\n")
	expect(say(amy, "CANCEL 3"), "Song b.mp3 has been cancelled\n")
	order = []string{"a.mp3", "l.mp3", "c.mp3", "d.mp3", "e.mp3", "f.mp3", "g.mp3", "h.mp3", "i.mp3"}
	expect(say(bob, "REQUESTS"), queue(order...))
	expect(say(amy, "WHO"), "Nobody listens at this time\n\n")

	first := server.dump(t).State.Scheduler.Playing.Song
	voted := "1 of 2 want to skip " + first + "\n"
	eventually(t, "the first song is heard, and amy votes", func() string {
		if got := say(amy, "SKIP"); got != voted {
			return got
		}
		return ""
	})
	expect(say(amy, "SKIP"), "You have voted: "+voted)
	expect(say(bob, "SKIP"), first+" is skipped\n")
	on(t, server, "a.mp3")
	eventually(t, "HISTORY shows both", func() string {
		got := netcatFrom(t, bob, server.requests(), "HISTORY\n")
		if lines := strings.Split(got, "\n"); len(lines) != 4 || !strings.HasPrefix(lines[0], "1. a.mp3 ") || !strings.Contains(lines[0], "now") ||
			!strings.HasPrefix(lines[1], "2. "+first) || !strings.Contains(lines[1], "skipped") {
			return got
		}
		return ""
	})
	stateIsReplay(t, server, data)

	server.kill()
	server = launchServer(t, songs, data)
	waiting := strings.Fields(say(bob, "REQUESTS")) // they came in the order of their names
	songsOf := slices.DeleteFunc(waiting, func(word string) bool { return !strings.HasSuffix(word, ".mp3") })
	if len(songsOf) < 5 || !slices.IsSorted(songsOf) {
		t.Errorf("first come, first served: %v", songsOf)
	}
	expect(say(bob, "SKIP"), "Nobody can skip songs here: the host starts the radio with --skip-votes to allow it\n")
	stateIsReplay(t, server, data)
}
