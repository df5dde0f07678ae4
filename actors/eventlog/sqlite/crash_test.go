package sqlite

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"conga/actors/eventlog"
	"conga/actors/eventlog/storetest"
	"conga/messages/chance"
	"conga/messages/raced"
)

const crashDir = "CONGA_TEST_CRASH_DIR"

// TestCrashChild is the process that TestKill kills: it appends from several
// goroutines and prints each number that was acknowledged.
func TestCrashChild(t *testing.T) {
	dir := os.Getenv(crashDir)
	if dir == "" {
		t.Skip("only as a child of TestKill")
	}
	store := openAt(t, dir)
	if _, err := store.write.Exec("PRAGMA wal_autocheckpoint = 16"); err != nil { // often, so that kills hit checkpoints, too
		t.Fatal(err)
	}
	log := storetest.Open(t, store)
	for range 4 {
		go func() {
			for {
				last, err := log.Append(eventlog.Any, "a", nil, storetest.Queued("x"), storetest.Queued("y"))
				if err != nil {
					t.Error(err)
					return
				}
				fmt.Printf("kept %d\n", last)
			}
		}()
	}
	select {}
}

// After kill -9 at random moments, all acknowledged events are there, in whole commits, and
// the hash chain is intact.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	kills := raced.Size(12, 4)
	if testing.Short() {
		kills = 3
	}
	random := rand.New(rand.NewPCG(chance.Seed(t), 0))
	acknowledged := uint64(0)
	for range kills {
		acknowledged = max(acknowledged, killAfter(t, dir, 1+random.IntN(300)))
		log := storetest.Open(t, openAt(t, dir))
		if n, err := log.Verify(t.Context()); err != nil || n < acknowledged || n%2 != 0 || n == 0 {
			t.Fatalf("%d events are there, %d were acknowledged: %v", n, acknowledged, err)
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d kills, %d events acknowledged, none lost", kills, acknowledged)
}

// killAfter runs a child and kills it after it has printed that many lines. It returns the last acknowledged
// event, including those that it printed before the kill took effect.
func killAfter(t *testing.T, dir string, lines int) (acknowledged uint64) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestCrashChild$")
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(out)
	for n := 0; said.Scan(); n++ {
		if number, ok := strings.CutPrefix(said.Text(), "kept "); !ok {
			t.Log(said.Text())
		} else if last, err := strconv.ParseUint(number, 10, 64); err == nil { // the kill may cut a line
			acknowledged = max(acknowledged, last)
		}
		if n == lines {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // it was killed
	return acknowledged
}
