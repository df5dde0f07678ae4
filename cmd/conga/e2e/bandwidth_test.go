package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"conga/cmd/internal/congatest"
	"conga/messages"
)

// costs is the most that the whole chain may cost the server, compared with one
// listener, and with the bytes of the music itself.
const costs = 1.02

// The server pays for one listener, however many there are. CONGA_TEST_LISTENERS makes
// them more than a small machine can run beside all other tests.
func TestE2E_ServerPaysForOne(t *testing.T) {
	listeners := 6
	if n := os.Getenv("CONGA_TEST_LISTENERS"); n != "" {
		if _, err := fmt.Sscan(n, &listeners); err != nil {
			t.Fatal(err)
		}
	}
	t.Parallel()
	bach, err := os.ReadFile(filepath.Join(congatest.Dir, "bach.mp3"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "bach.mp3"), bach, 0o600); err != nil {
		t.Fatal(err)
	}
	server := launchServer(t, dir, t.TempDir())
	chain := joinChain(t, server, "first")
	chain[0].hears(t)
	one, _ := spent(t, server)
	for i := 2; i <= listeners; i++ {
		chain = append(chain, joinChain(t, server, fmt.Sprint("listener", i))...)
		chain[i-1].hears(t) // so that the next one finds it with music
	}
	many, times := spent(t, server)
	music := float64(len(congatest.Cut{From: "bach.mp3", N: 1500}.Frames(t))) / (1500 / 4)
	t.Logf("bytes for each chunk: %.1f with one listener, %.1f with %d; the music has %.1f", one, many, listeners, music)
	if many > costs*one || one > costs*music || many > costs*music {
		t.Errorf("more than %v of what it should be: %.4f of one, %.4f of the music", costs, many/one, many/music)
	}
	if times > 1.5 {
		t.Errorf("each chunk was sent %.2f times by the server", times)
	}
	for _, listener := range chain {
		listener.unhurt(t)
	}
}

// spent is what the server sends: the bytes for each chunk, everything included, and how
// often each chunk. The latter is 1 but for a chunk or two that are on their way.
func spent(t testing.TB, server *process) (bytesPerChunk, times float64) {
	t.Helper()
	const group, atLeast = messages.SealItems, 3 * messages.SealItems // each group costs one seal
	from := server.dump(t).Live.Pacer
	to := from
	eventually(t, "chunks are sent", func() string {
		to = server.dump(t).Live.Pacer
		if n := to.ChunksSent - from.ChunksSent; n < atLeast || n%group != 0 {
			return fmt.Sprint(n)
		}
		return ""
	})
	chunks := float64(to.ChunksSent - from.ChunksSent)
	return float64(to.BytesSent-from.BytesSent) / chunks, chunks / float64(to.Next-from.Next)
}
