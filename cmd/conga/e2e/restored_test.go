package e2e

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"conga/cmd/internal/congatest"
)

// A server's folder is restored from a copy of before its last starts, or its log is lost
// and only the key is left. Its numbers then begin where nobody stands; those who listen, and
// those whom they feed, hear the new broadcast all the same.
func TestE2E_RestoredCopy(t *testing.T) {
	t.Parallel()
	for name, restore := range map[string]func(t *testing.T, data, kept string){
		"a copy": func(t *testing.T, data, kept string) {
			if err := os.RemoveAll(data); err != nil {
				t.Fatal(err)
			}
			if err := os.CopyFS(data, os.DirFS(kept)); err != nil {
				t.Fatal(err)
			}
		},
		"the key alone": func(t *testing.T, data, _ string) {
			files, err := filepath.Glob(filepath.Join(data, "conga.db*"))
			if err != nil || len(files) == 0 {
				t.Fatalf("no log in %s (%v)", data, err)
			}
			for _, file := range files {
				if err := os.Remove(file); err != nil {
					t.Fatal(err)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			songs, data, kept := congatest.Songs(t, congatest.Short), filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "kept")
			addr := quietPair(t)
			server := launchServer(t, songs, data, "--listen", addr)
			chain := joinChain(t, server, "amy", "bob")
			stop := func() {
				for _, node := range chain {
					node.hears(t)
				}
				server.signal(t, syscall.SIGTERM)
				if code := server.exit(t); code != 0 {
					t.Fatalf("the server ended with %d", code)
				}
			}
			stop()
			if err := os.CopyFS(kept, os.DirFS(data)); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				server = launchServer(t, songs, data, "--listen", addr)
				stop()
			}
			restore(t, data, kept)
			server = launchServer(t, songs, data, "--listen", addr)
			for _, node := range chain {
				t.Logf("%s hears again after %v", node.name, node.hears(t))
				if r := node.dump(t).Live.Relay; r.Twice != 0 {
					t.Errorf("%s: %+v", node.name, r)
				}
			}
		})
	}
}
