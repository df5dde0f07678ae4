package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"conga/cmd/conga-chaos/internal/schedule"
	"conga/cmd/internal/cli"
	"conga/cmd/internal/congatest"
)

// A short run with a real server, real sockets, and one listener that real signals hit.
// The server stays: how fast it starts again depends on what else this machine does, and
// TestChaos_VirtualTime restarts it.
func TestChaos_Short(t *testing.T) {
	t.Parallel() // it waits
	kinds := []string{"kill", "end", "neighbours", "half", "freeze", "link", "slow"}
	var out, progress bytes.Buffer
	code := chaosProgram().Run(t.Context(), []string{
		"--conga", builtConga(t), "--nodes", "8", "--processes", "1", "--failures", "16", "--time", "6s",
		"--kinds", strings.Join(kinds, ","), "--songs", congatest.Songs(t, congatest.Short),
	}, strings.NewReader(""), &out, &progress)
	t.Logf("%s\n%s", progress.String(), out.String())
	if code != 0 {
		t.Errorf("exit %d", code)
	}
	for _, kind := range kinds {
		if schedule.Kind(kind).Cabled() && strings.Contains(progress.String(), "there are no cables") {
			continue
		}
		if !strings.Contains(out.String(), kind+"  ") {
			t.Errorf("the table has no %s", kind)
		}
	}
}

// builtConga is the conga for all tests.
func builtConga(t *testing.T) string {
	t.Helper()
	path, err := buildConga()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var buildConga = sync.OnceValues(func() (string, error) { return congatest.Build(programs, "conga") })

func TestChaos_DryRun(t *testing.T) {
	var first, again bytes.Buffer
	for _, out := range []*bytes.Buffer{&first, &again} {
		if code := chaosProgram().Run(t.Context(), []string{"--dry-run", "--seed", "7"}, strings.NewReader(""), out, out); code != 0 {
			t.Fatalf("exit %d: %s", code, out.String())
		}
	}
	if first.String() != again.String() || !strings.Contains(first.String(), "freeze") {
		t.Errorf("two schedules of one seed:\n%s\n%s", first.String(), again.String())
	}
}

// Without music nobody could hear anything, and minutes would pass until that is said; without a conga there
// are no nodes.
func TestChaos_Needs(t *testing.T) {
	empty := t.TempDir()
	for flags, says := range map[string]string{
		"--songs " + empty: "there are no .mp3 files in the songs folder " + empty,
		"--songs " + congatest.Dir + " --conga " + filepath.Join(empty, "conga"): "--conga: ",
	} {
		var out bytes.Buffer
		code := chaosProgram().Run(t.Context(), strings.Fields(flags), strings.NewReader(""), &out, &out)
		if code != cli.Failed || !strings.Contains(out.String(), says) || strings.Count(out.String(), "\n") != 1 {
			t.Errorf("%s: exit %d, %s", flags, code, out.String())
		}
	}
}

func TestChaos_Flags(t *testing.T) {
	for _, c := range []struct{ flags, says string }{
		{"--nodes 1", "from 2 to 5000"},
		{"--failures 0", "from 1 to"},
		{"--kinds quake", "quake is not one of"},
		{"--processes 30", "at most as many as --nodes"},
		{"--time=-1s", "must not be negative"},
		{"--time soon", "--time takes a time like 30s or 10m, not soon"},
	} {
		var out bytes.Buffer
		code := chaosProgram().Run(t.Context(), strings.Fields(c.flags), strings.NewReader(""), &out, &out)
		if code != cli.Usage || !strings.Contains(out.String(), c.says) {
			t.Errorf("%s: exit %d, %s", c.flags, code, out.String())
		}
	}
}
