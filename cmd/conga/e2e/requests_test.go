package e2e

import (
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"conga/cmd/internal/congatest"
)

// netcat is `printf … | nc HOST PORT`: it says all at once, then its end, and returns
// what it was answered.
func netcat(t testing.TB, addr, said string) string {
	t.Helper()
	conn := dialNode(t, addr)
	if _, err := io.WriteString(conn, said); err != nil {
		t.Fatal(err)
	}
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("after %q: %v", answer, err)
	}
	return string(answer)
}

var (
	turns = regexp.MustCompile(`(?m)^It (?:plays|is|waits).*\n`)
	notes = regexp.MustCompile(`(?m)^([0-9]+\. [^(\n]*?)(?: \((?:.*?)(waits: .*)?\))?$`)
)

// bare is what a program reads that knows the words of 2016: without when a song plays, its title and who wants it. Why
// it waits stays.
func bare(answer string) string {
	answer = notes.ReplaceAllString(turns.ReplaceAllString(answer, ""), "$1 ($2)")
	return strings.ReplaceAll(answer, " ()", "")
}

// dialNode connects; the connection ends with the test, and with the last of patience.
func dialNode(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn.(*net.TCPConn)
}

// awaitPlaying waits until the first song is taken: what is asked then stays in the queue.
func awaitPlaying(t testing.TB, server *process) {
	t.Helper()
	eventually(t, "the server plays", func() string {
		if d := server.dump(t); d.State.Scheduler.Playing.Song == "" || d.Live.Pacer.Next == 0 {
			return "nothing is on"
		}
		return ""
	})
}

func TestE2E_Netcat(t *testing.T) {
	t.Parallel()
	server := launchServer(t, congatest.Long(t, "a.mp3", "b.mp3", "c.mp3"), t.TempDir())
	awaitPlaying(t, server)
	got := netcat(t, server.requests(), "REQUESTS\nSONGS\nPLAY 2\nPLAY 2\nPLAY nosuch\nplay c\nREQUESTS\n")
	want := `No requests at this time

1. a.mp3
2. b.mp3
3. c.mp3

Song b.mp3 has been requested!
Song has already been requested
Song does not exist
Song c.mp3 has been requested!
1. b.mp3
2. c.mp3

`
	if bare(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if now := regexp.MustCompile(`Song b.mp3 has been requested!\nIt plays in [0-9:]+, first in the queue.\n(?s:.*)1. b.mp3 \(.*in [0-9:]+\)\n`); !now.MatchString(got) {
		t.Errorf("when it plays is not said:\n%s", got)
	}
	if got := netcat(t, server.requests(), "FLY\r\n"); !strings.Contains(got, "SONGS") || !strings.Contains(got, "PLAY") {
		t.Errorf("an unknown word: %q", got)
	}
	if got := netcat(t, server.requests(), "REQUESTS"); bare(got) != "1. b.mp3\n2. c.mp3\n\n" {
		t.Errorf("a last line without its end: %q", got)
	}
}

// The same from a listener's keyboard.
func TestE2E_TypedLines(t *testing.T) {
	t.Parallel()
	server := launchServer(t, congatest.Long(t, "a.mp3", "b.mp3"), t.TempDir())
	awaitPlaying(t, server)
	amy := joinChain(t, server, "amy")[0]
	answered := amy.out.String()
	for _, line := range []struct{ said, answer string }{
		{"REQUESTS", "No requests at this time\n"},
		{"songs", "1. a.mp3\n2. b.mp3\n"},
		{"play b", "Song b.mp3 has been requested!\n"},
		{"", ""},
		{"PLAY b.mp3", "Song has already been requested\n"},
		{"Requests", "1. b.mp3\n"},
	} {
		amy.say(t, line.said)
		answered += line.answer
		eventually(t, "the answer to "+line.said, func() string {
			// An empty line may end an answer of many.
			if got := bare(strings.ReplaceAll(amy.out.String(), "\n\n", "\n")); got != answered {
				return fmt.Sprintf("%q, want %q", got, answered)
			}
			return ""
		})
	}
	amy.say(t, "end")
	if code := amy.exit(t); code != 0 {
		t.Errorf("end: exit %d", code)
	}
}

// What was promised is kept through kill -9.
func TestE2E_QueueSurvivesKill(t *testing.T) {
	t.Parallel()
	names := []string{"a.mp3", "b.mp3", "c.mp3", "d.mp3"}
	songs, data := congatest.Long(t, names...), t.TempDir()
	server := launchServer(t, songs, data)
	awaitPlaying(t, server)
	on := server.dump(t).State.Scheduler.Playing.Song
	queue := slices.DeleteFunc(names, func(name string) bool { return name == on })
	slices.Reverse(queue)
	want := ""
	for i, name := range queue {
		if got := netcat(t, server.requests(), "PLAY "+name+"\n"); bare(got) != "Song "+name+" has been requested!\n" {
			t.Fatal(got)
		}
		want += fmt.Sprintf("%d. %s\n", i+1, name)
	}
	server.kill()
	server = launchServer(t, songs, data)
	if got := netcat(t, server.requests(), "REQUESTS\n"); bare(got) != want+"\n" {
		t.Errorf("after kill -9: %q, want %q", got, want)
	}
	awaitPlaying(t, server)
	if now := server.dump(t).State.Scheduler.Playing.Song; now != on {
		t.Errorf("after kill -9 it plays %s, before %s", now, on)
	}
}

// The server starts before its disk is mounted, and the disk is pulled while it plays: requests wait, REQUESTS
// says why, and each is heard when the disk is back.
func TestE2E_FolderAway(t *testing.T) {
	t.Parallel()
	long := maps.Clone(congatest.Short)
	long["joy.mp3"] = congatest.Cut{From: "beethoven.mp3", First: 60, N: 300} // long enough to pull the disk while it is on
	songs, data := congatest.Songs(t, long), t.TempDir()
	away := filepath.Join(t.TempDir(), "disk")
	move := func(from, to string) {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	asked := func(server *process, want string) {
		eventually(t, "REQUESTS says "+want, func() string {
			if got := netcat(t, server.requests(), "REQUESTS\n"); bare(got) != want {
				return got
			}
			return ""
		})
	}
	server := launchServer(t, songs, data)
	if got := netcat(t, server.requests(), "SONGS\n"); got != "1. air.mp3\n2. canon.mp3\n3. joy.mp3\n\n" {
		t.Errorf("right after it was ready it has the songs %q", got)
	}
	server.kill()
	move(songs, away)

	server = launchServer(t, songs, data)
	for _, song := range []string{"joy", "air"} {
		if got := netcat(t, server.requests(), "PLAY "+song+"\n"); bare(got) != "Song "+song+".mp3 has been requested!\n" {
			t.Errorf("while the disk is away: %s", got)
		}
	}
	reason := " (waits: the songs folder cannot be read: no such file or directory)\n"
	asked(server, "1. joy.mp3"+reason+"2. air.mp3"+reason+"\n")
	amy := joinChain(t, server, "amy")[0]
	move(away, songs)
	on(t, server, "joy.mp3")
	asked(server, "1. air.mp3\n\n")
	move(songs, away) // air's turn comes while it is away
	asked(server, "1. air.mp3"+reason+"\n")
	on(t, server, "")
	move(away, songs)
	asked(server, "No requests at this time\n\n")
	eventually(t, "amy hears what was requested, in that order", func() string {
		var heard []string
		for _, song := range amy.dump(t).Live.Relay.Songs {
			heard = append(heard, song.Song)
		}
		if len(heard) < 2 {
			return fmt.Sprint(heard)
		}
		if heard[0] != "joy.mp3" || heard[1] != "air.mp3" {
			t.Fatalf("amy heard %v", heard)
		}
		return ""
	})
}

// on waits until the song is on; "": until all of the last is given out.
func on(t *testing.T, server *process, song string) {
	t.Helper()
	eventually(t, "on is "+song, func() string {
		if on := server.dump(t).State.Pacer.Song.Name; on != song {
			return on + " is on"
		}
		return ""
	})
}
