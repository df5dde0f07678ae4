package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"conga/messages"
)

// kinds are the files of an album: ffmpeg's arguments by their names.
var kinds = map[string][]string{
	"01 Morning.mp3":   {"-ar", "44100", "-c:a", "libmp3lame"},
	"02 Low.mp3":       {"-ar", "22050", "-c:a", "libmp3lame"}, // MPEG-2
	"03 Air.flac":      {"-c:a", "flac"},
	"04 Sarabande.m4a": {"-c:a", "aac"},
}

// makeSong makes a file of a tone with ffmpeg; args say of which kind. Where there is no ffmpeg, the test is left out; where CI runs,
// there must be one.
func makeSong(t *testing.T, dir, name string, seconds int, args ...string) {
	t.Helper()
	ffmpeg, err := exec.LookPath("ffmpeg")
	switch {
	case err != nil && os.Getenv("CI") != "":
		t.Fatal(err)
	case err != nil:
		t.Skip("there is no ffmpeg on this machine: sudo apt-get install ffmpeg")
	}
	tone := fmt.Sprintf("sine=frequency=%d:duration=%d", 300+10*len(name), seconds)
	all := slices.Concat([]string{"-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", tone}, args, []string{"file:" + filepath.Join(dir, name)})
	if out, err := exec.Command(ffmpeg, all...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg makes %s: %v: %s", name, err, out)
	}
}

// album makes the files in Artist/Album, each with its title.
func album(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	at := filepath.Join(dir, "Anna", "Dances")
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, args := range kinds {
		title := strings.TrimSuffix(name, filepath.Ext(name))[3:]
		makeSong(t, at, name, 6, slices.Concat(args, []string{"-metadata", "title=" + title, "-metadata", "artist=Anna Somebody"})...)
	}
	return dir
}

// Somebody's folder has music of all kinds in subfolders. Each song can be requested by its title; one that must be converted
// is converted while others play, and nobody hears a gap.
func TestE2E_Converts(t *testing.T) {
	server := launchServer(t, album(t), t.TempDir())
	amy := launchListener(t, server, "amy", "--output", "null").awaitReady(t, listenerReady)
	amy.hears(t)
	if got := netcat(t, server.requests(), "SONGS anna\n"); strings.Count(got, "Anna/Dances/") != len(kinds) {
		t.Errorf("the songs are\n%s", got)
	}
	const air = "Anna/Dances/03 Air.flac"
	if got := netcat(t, server.requests(), "PLAY air\n"); !strings.HasPrefix(got, "Song "+air+" has been requested!\n") {
		t.Errorf("a request by title: %q", got)
	}
	eventually(t, "the flac has been passed on", func() string {
		for _, song := range amy.dump(t).Live.Relay.Songs {
			if song.Song == air {
				return ""
			}
		}
		return "not yet: " + netcat(t, server.requests(), "REQUESTS\n")
	})
	eventually(t, "everything is converted", func() string {
		for _, song := range server.dump(t).State.Catalog.Songs {
			if song.Name != "Anna/Dances/01 Morning.mp3" && song.Form != messages.Song_FORM_CONVERTED {
				return song.Name + " is not"
			}
		}
		return ""
	})
	silences := story(t, amy, "PlayerUnderran")
	amy.end(t)
	if lost, twice, underruns := inReceipt(t, amy); lost+twice+underruns > 0 {
		t.Errorf("amy lost %d items, had %d twice and %d underruns: %s", lost, twice, underruns, silences)
	}
}
