package sqlite

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"conga/actors/eventlog"
	"conga/actors/eventlog/storetest"
	"conga/messages/raced"
)

func logFile(dir, suffix string) string { return filepath.Join(dir, fileName+suffix) }

// harms are what somebody may do to the files of a running server. aside is where the server puts
// a file that is not its own.
var harms = map[string]func(t *testing.T, dir string) (aside string){
	"all files": func(t *testing.T, dir string) string {
		return must(t, os.RemoveAll(dir))
	},
	"the log": func(t *testing.T, dir string) string {
		return must(t, os.Remove(logFile(dir, "")))
	},
	"its write-ahead log": func(t *testing.T, dir string) string {
		return must(t, os.Remove(logFile(dir, "-wal")))
	},
	"its note":  func(t *testing.T, dir string) string { return must(t, os.Remove(logFile(dir, noteSuffix))) },
	"its index": func(t *testing.T, dir string) string { return must(t, os.Remove(logFile(dir, "-shm"))) },
	"the lock": func(t *testing.T, dir string) string {
		return must(t, os.Remove(filepath.Join(dir, lockName)))
	},
	"renamed": func(t *testing.T, dir string) string {
		return must(t, os.Rename(logFile(dir, ""), logFile(dir, ".old")))
	},
	"the folder renamed": func(t *testing.T, dir string) string { return must(t, os.Rename(dir, dir+"2")) },
	"a copy restored": func(t *testing.T, dir string) string {
		other := t.TempDir()
		log := storetest.Open(t, openAt(t, other))
		storetest.Fill(t, log, 7)
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
		must(t, os.Rename(logFile(other, ""), logFile(dir, "")))
		return logFile(dir, ".aside-1")
	},
	"an empty file": func(t *testing.T, dir string) string {
		must(t, os.Remove(logFile(dir, "")))
		must(t, os.WriteFile(logFile(dir, ""), nil, 0o644))
		return logFile(dir, ".aside-1")
	},
}

// Whatever happens to the open files, the log is written again where it belongs, and the next process finds
// all of it. A file that lay in its place is renamed and kept.
func TestSteady_FilesGone(t *testing.T) {
	for what, harm := range harms {
		for _, idle := range []bool{false, true} {
			t.Run(fmt.Sprint(what, ", idle ", idle), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { filesGone(t, harm, idle) })
			})
		}
	}
}

// nextLook is long enough for a Steady to check its files again.
const nextLook = 10 * time.Second

func filesGone(t *testing.T, harm func(*testing.T, string) string, idle bool) {
	before, after := raced.Size(1500, 150), raced.Size(300, 30)
	dir := filepath.Join(t.TempDir(), "data")
	var told storetest.Told
	s := openSteady(t, dir, told.Tell)
	log := storetest.Open(t, s)
	storetest.Fill(t, log, before)
	aside := harm(t, dir)
	if idle {
		time.Sleep(nextLook)
	}
	storetest.Fill(t, log, after)
	time.Sleep(nextLook)
	if log.Last() != uint64(before+after) || !s.Settled(t.Context()) {
		t.Errorf("event %d is the last; all are on the disk: %v", log.Last(), s.Settled(t.Context()))
	}
	told.Want(t, eventlog.DiskAway, eventlog.DiskFine)
	if err := openAndVerify(copyLog(t, dir), false); err != nil {
		t.Errorf("as a crash would leave it: %v", err)
	}
	if _, err := Open(dir); !errors.Is(err, eventlog.ErrLocked) {
		t.Errorf("a second writer: %v", err)
	}
	if err := log.Close(); err != nil {
		t.Error(err)
	}
	again := storetest.Open(t, openAt(t, dir))
	if n, err := again.Verify(t.Context()); n != uint64(before+after) || err != nil {
		t.Errorf("%d events are sound: %v", n, err)
	}
	if aside != "" {
		if _, err := os.Stat(aside); err != nil {
			t.Error(err)
		}
	}
}

func openSteady(t *testing.T, dir string, tell func(eventlog.DiskState, error)) *eventlog.Steady {
	t.Helper()
	s, err := eventlog.OpenSteady(openAt(t, dir), eventlog.SteadyConfig{Reserve: NewReserve(dir, 1<<16), Tell: tell})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func must(t *testing.T, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return ""
}

// If the folder is renamed under a running server, the next server can open the log in it as it was then.
func TestSteady_FolderRenamed(t *testing.T) {
	synctest.Test(t, folderRenamed)
}

func folderRenamed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	log := storetest.Open(t, openSteady(t, dir, func(eventlog.DiskState, error) {}))
	storetest.Fill(t, log, 100)
	must(t, os.Rename(dir, dir+"2"))
	storetest.Fill(t, log, 100)
	time.Sleep(nextLook)
	if err := log.Close(); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		dir  string
		want uint64
	}{{dir, 200}, {dir + "2", 100}} {
		log := storetest.Open(t, openAt(t, c.dir))
		if n, err := log.Verify(t.Context()); n != c.want || err != nil {
			t.Errorf("%s has %d events: %v", c.dir, n, err)
		}
	}
}

// A crash after the new file is written and before it is renamed loses nothing.
func TestTakesWhole(t *testing.T) {
	dir := t.TempDir()
	log := storetest.Open(t, openAt(t, dir))
	storetest.Fill(t, log, 50)
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, fileName)
	must(t, os.Rename(path, path+wholeSuffix))
	must(t, os.WriteFile(path+"-wal", []byte("of the file before"), 0o644))
	if n, err := storetest.Open(t, openAt(t, dir)).Verify(t.Context()); n != 50 || err != nil {
		t.Errorf("%d events: %v", n, err)
	}
}

// Every error about the data folder tells the user what to type next.
func TestFolderError(t *testing.T) {
	for _, err := range []error{fs.ErrPermission, syscall.EROFS, syscall.ENOSPC, syscall.ENOTDIR, fs.ErrExist, fs.ErrNotExist, io.ErrUnexpectedEOF} {
		if got := folderError("dir", err); !errors.Is(got, err) || !strings.Contains(got.Error(), "choose another with --data") {
			t.Errorf("%v: %v", err, got)
		}
	}
}
