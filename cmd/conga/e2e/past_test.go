package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"conga/cmd/internal/congatest"
)

// A listener hears what was played earlier and passes on what is played now: whoever stands behind it misses nothing.
func TestE2E_JoinAt(t *testing.T) {
	t.Parallel()
	server := launchServer(t, congatest.Songs(t, congatest.Short), t.TempDir(), "--past", "1")
	number := func() uint64 { return server.dump(t).Live.Pacer.Next }
	eventually(t, "there is a past", func() string {
		if n := number(); n < 60 {
			return fmt.Sprint("item ", n)
		}
		return ""
	})
	amy := launchListener(t, server, "amy", "--output", "null", "--at", "4s").awaitReady(t, listenerReady)
	bob := launchListener(t, server, "bob", "--output", "null").awaitReady(t, listenerReady)
	bob.hears(t)
	eventually(t, "amy feeds bob", func() string { // on a busy machine not from the beginning
		if up := bob.dump(t).Live.Relay.Upstream; up != "amy" {
			return up + " does"
		}
		return ""
	})
	heard := uint64(0) // by amy
	eventually(t, "amy hears another song of the past", func() string {
		now := amy.dump(t).Live.Player.HeardNumber
		if heard == 0 {
			heard = now
		}
		if now < heard+30 {
			return fmt.Sprintf("item %d after %d", now, heard)
		}
		return ""
	})
	earlier, now := amy.dump(t).Live.Player.HeardNumber, bob.dump(t).Live.Player.HeardNumber
	if earlier+20 > now { // 4 s are some 40 items
		t.Errorf("amy hears item %d while bob hears %d", earlier, now)
	}
	for _, p := range []*process{amy, bob} {
		p.flawless(t)
	}
	defer func() { // amy has heard enough of the past
		amy.says(t, "live", "you hear what is broadcast now")
		eventually(t, "amy hears what bob hears", func() string {
			if earlier, now := amy.dump(t).Live.Player.HeardNumber, bob.dump(t).Live.Player.HeardNumber; earlier+10 < now {
				return fmt.Sprintf("item %d, bob hears %d", earlier, now)
			}
			return ""
		})
		amy.says(t, "LIVE", "already")
		amy.unhurt(t)
	}()
	late := launchListener(t, server, "cem", "--at", "song") // one hears the past already
	if code := late.exit(t); code == 0 || !strings.Contains(late.err.String(), "As many as this server allows hear the past") {
		t.Errorf("exit %d: %s", code, late.err.String())
	}
}

// A player gets from the server what conga log render makes of the same time, and where nothing was played it is told so.
func TestE2E_StreamAt(t *testing.T) {
	t.Parallel()
	songs, data := congatest.Songs(t, congatest.Short), t.TempDir()
	server := launchServer(t, songs, data)
	eventually(t, "there is a past", func() string {
		if n := server.dump(t).Live.Pacer.Next; n < 40 {
			return fmt.Sprint("item ", n)
		}
		return ""
	})
	began := time.Now().Add(-3 * time.Second).Format(time.RFC3339Nano)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	get := func(at string) *http.Response {
		t.Helper()
		ask, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+server.requests()+"/stream.mp3?at="+strings.ReplaceAll(at, "+", "%2B"), nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(ask)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = answer.Body.Close() })
		return answer
	}
	got := make([]byte, 6*16_000)
	if answer := get(began); answer.StatusCode != http.StatusOK {
		t.Fatal(answer.Status)
	} else if _, err := io.ReadFull(answer.Body, got); err != nil {
		t.Fatal(err)
	}
	// The two who hear the past are all that the server allows: "song" comes last.
	for _, c := range []struct {
		at   string
		want int
	}{{"soon", http.StatusNotFound}, {"2999-01-01", http.StatusNotFound}, {"song", http.StatusOK}, {"song", http.StatusServiceUnavailable}} {
		if answer := get(c.at); answer.StatusCode != c.want {
			t.Errorf("%s: %s", c.at, answer.Status)
		}
	}
	file := filepath.Join(t.TempDir(), "out.mp3")
	eventually(t, "all of it was heard, too", func() string {
		code, _, wrong := conga(t, "log", "render", "--data", data, "--songs", songs, "--from", began, "--force", file)
		rendered, err := os.ReadFile(file)
		if code != 0 || err != nil {
			t.Fatalf("exit %d: %s, %v", code, wrong, err)
		}
		if !bytes.HasPrefix(rendered, got) {
			return fmt.Sprintf("%d bytes do not begin with the %d", len(rendered), len(got))
		}
		return ""
	})
}
