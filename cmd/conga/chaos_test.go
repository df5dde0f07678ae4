package main

import (
	"bytes"
	"strings"
	"testing"
)

// A short run with a real server, real sockets, and one listener that real signals hit.
// The server stays: how fast it starts again depends on what else this machine does, and
// TestChaos_VirtualTime restarts it.
func TestChaos_Short(t *testing.T) {
	kinds := []string{"kill", "end", "neighbours", "half", "freeze", "link", "slow"}
	t.Setenv(asConga, "1") // the processes that it starts are congas
	var out, progress bytes.Buffer
	code := run(t.Context(), []string{
		"chaos", "--nodes", "8", "--processes", "1", "--failures", "16", "--time", "6s",
		"--kinds", strings.Join(kinds, ","), "--songs", cutSongs(t, shortSongs),
	}, strings.NewReader(""), &out, &progress)
	t.Logf("%s\n%s", progress.String(), out.String())
	if code != 0 {
		t.Errorf("exit %d", code)
	}
	for _, kind := range kinds {
		if failure(kind).cabled() && strings.Contains(progress.String(), "there are no cables") {
			continue
		}
		if !strings.Contains(out.String(), kind+"  ") {
			t.Errorf("the table has no %s", kind)
		}
	}
}

func TestChaos_DryRun(t *testing.T) {
	var first, again bytes.Buffer
	for _, out := range []*bytes.Buffer{&first, &again} {
		if code := run(t.Context(), []string{"chaos", "--dry-run", "--seed", "7"}, strings.NewReader(""), out, out); code != 0 {
			t.Fatalf("exit %d: %s", code, out.String())
		}
	}
	if first.String() != again.String() || !strings.Contains(first.String(), "freeze") {
		t.Errorf("two schedules of one seed:\n%s\n%s", first.String(), again.String())
	}
}

func TestChaos_Flags(t *testing.T) {
	for _, c := range []struct{ flags, says string }{
		{"--nodes 1", "from 2 to 1000"},
		{"--failures 0", "from 1 to"},
		{"--kinds quake", "quake is not one of"},
		{"--processes 30", "at most as many as --nodes"},
		{"--time=-1s", "backwards"},
	} {
		var out bytes.Buffer
		code := run(t.Context(), append([]string{"chaos"}, strings.Fields(c.flags)...), strings.NewReader(""), &out, &out)
		if code != exitUsage || !strings.Contains(out.String(), c.says) {
			t.Errorf("%s: exit %d, %s", c.flags, code, out.String())
		}
	}
}
