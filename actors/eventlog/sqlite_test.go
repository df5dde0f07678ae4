package eventlog

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
)

func TestOpenSQLite_Locked(t *testing.T) {
	dir := t.TempDir()
	log := open(t, openSQLite(t, dir))
	fill(t, log, 3)
	_, err := OpenSQLite(dir)
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("second opener: %v", err)
	}
	fill(t, log, 3) // the first is unharmed
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if again := open(t, openSQLite(t, dir)); again.Last() != 6 {
		t.Errorf("after the first: at %d", again.Last())
	}
}

func TestOpenSQLite_Refuses(t *testing.T) {
	write := func(name, text string) func(string) error {
		return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600) }
	}
	pragma := func(statement string) func(string) error {
		return func(dir string) error {
			s, err := OpenSQLite(dir)
			if err != nil {
				return err
			}
			_, err = s.(*sqliteStore).write.Exec(statement)
			return errors.Join(err, s.(*sqliteStore).checkpoint(), s.Close())
		}
	}
	for _, c := range []struct {
		name  string
		setup func(dir string) error
		is    error
		says  string
	}{
		{"newer", pragma("PRAGMA user_version = 9"), ErrNewer, "start the newer conga"},
		{"older than the first", pragma("PRAGMA user_version = 0"), ErrDamaged, "restore"},
		{"another program's", pragma("PRAGMA application_id = 7"), nil, "not a conga log"},
		{"not a database", write("conga.db", strings.Repeat("not a database ", 100)), ErrDamaged, "conga.db"},
		{"sums' header", write("conga.db-sums", strings.Repeat("x", 200)), ErrDamaged, "conga.db-sums"},
		{"a file for a folder", func(dir string) error {
			return errors.Join(os.Remove(dir), os.WriteFile(dir, nil, 0o600))
		}, nil, "not a folder"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data folder?#%41")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := c.setup(dir); err != nil {
				t.Fatal(err)
			}
			s, err := OpenSQLite(dir)
			if err == nil {
				_ = s.Close()
				t.Fatal("it opened")
			}
			if (c.is != nil && !errors.Is(err, c.is)) || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), dir) {
				t.Errorf("%v", err)
			}
		})
	}
}

// copyLog copies a log as it is, of a server that was killed.
func copyLog(t testing.TB, from string) (to string) {
	t.Helper()
	to = t.TempDir()
	for _, name := range []string{"conga.db", "conga.db-wal", "conga.db-sums"} {
		data, err := os.ReadFile(filepath.Join(from, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// One flipped bit anywhere in a copied log is found when it is opened: in the file
// after a clean end, and in file and write-ahead log after a kill.
func TestSQLite_FlippedBit(t *testing.T) {
	dir := t.TempDir()
	log := open(t, openSQLite(t, dir))
	fill(t, log, 400)
	if err := log.SaveSnapshot(400, nil); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	clean := copyLog(t, dir)
	log = open(t, openSQLite(t, dir))
	fill(t, log, 300)
	killed := copyLog(t, dir)

	for name, whole := range map[string]string{"clean": clean, "killed": killed} {
		sound := copyLog(t, whole)
		if s := open(t, openSQLite(t, sound)); s.Close() != nil {
			t.Fatal("the sound copy does not close")
		}
		seed := uint64(time.Now().UnixNano())
		t.Logf("%s: seed %d", name, seed)
		chance := rand.New(rand.NewPCG(seed, 1))
		for _, file := range []string{"conga.db", "conga.db-wal", "conga.db-sums"} {
			info, err := os.Stat(filepath.Join(whole, file))
			if err != nil {
				continue
			}
			for range 25 {
				at, bit := chance.Int64N(info.Size()), chance.IntN(8)
				dir := copyLog(t, whole)
				flip(t, filepath.Join(dir, file), at, bit)
				if err := openAndVerify(dir, true); err == nil {
					t.Errorf("%s: bit %d of byte %d of %s was flipped, and the server starts", name, bit, at, file)
				}
			}
		}
	}
}

func flip(t *testing.T, path string, at int64, bit int) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1 << bit
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

func openAndVerify(dir string, writer bool) error {
	openStore := OpenSQLiteReader
	if writer {
		openStore = OpenSQLite
	}
	store, err := openStore(dir)
	if err != nil {
		return err
	}
	log, err := Open(store, time.Now)
	if err != nil {
		return errors.Join(err, store.Close())
	}
	defer log.Close()
	if writer {
		return nil
	}
	_, err = log.Verify(context.Background())
	return err
}

func TestSQLite_Torn(t *testing.T) {
	dir := t.TempDir()
	log := open(t, openSQLite(t, dir))
	fill(t, log, 400)
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	log = open(t, openSQLite(t, dir))
	fill(t, log, 200)
	killed := copyLog(t, dir)
	for _, c := range []struct {
		file string
		left int64
		ok   bool
	}{
		{"conga.db", 0, false},
		{"conga.db", 5000, false},
		{"conga.db-wal", 0, false},
		{"conga.db-wal", 5000, false},
		{"conga.db-sums", 0, true}, // made anew
		{"conga.db-sums", 140, false},
	} {
		torn := copyLog(t, killed)
		if err := os.Truncate(filepath.Join(torn, c.file), c.left); err != nil {
			t.Fatal(err)
		}
		err := openAndVerify(torn, true)
		if c.ok != (err == nil) || err != nil && (!errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "conga.db")) {
			t.Errorf("%s cut to %d bytes: %v", c.file, c.left, err)
		}
	}
}

// What a killed server left can be read without a change to it, while another process
// looks, and after the sqlite3 program has worked the write-ahead log into the file.
func TestSQLite_Reader(t *testing.T) {
	dir := t.TempDir()
	log := open(t, openSQLite(t, dir))
	fill(t, log, 500)
	if err := openAndVerify(dir, false); err != nil {
		t.Errorf("read while the server runs: %v", err)
	}
	reader, err := OpenSQLiteReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	live := open(t, reader)
	fill(t, log, 100)
	if err := live.Refresh(); err != nil || live.Last() != 600 || len(collect(t, live, 550)) != 50 {
		t.Errorf("the reader sees %d events, %v", live.Last(), err)
	}
	if _, err := live.Append(600, "a", nil, queued("x")); err == nil {
		t.Error("a reader has written")
	}
	killed := copyLog(t, dir)
	for range 2 {
		if err := openAndVerify(killed, false); err != nil {
			t.Errorf("read after a kill: %v", err)
		}
	}
	w, err := readWAL(filepath.Join(killed, "conga.db"))
	if err != nil || w.frames == 0 {
		t.Errorf("the reader has worked the write-ahead log into the file: %v", err)
	}

	foreign, err := sql.Open("sqlite", filepath.Join(killed, "conga.db"))
	if err != nil {
		t.Fatal(err)
	}
	var line string
	if err := foreign.QueryRow(`SELECT time || ' ' || actor || ' ' || type || ' ' || cause FROM log WHERE seq = 1`).Scan(&line); err != nil {
		t.Error(err)
	}
	if want := "2026-11-22T10:11:12.001Z scheduler SongQueued RequestPlay"; line != want {
		t.Errorf("people see %q, want %q", line, want)
	}
	if err := foreign.Close(); err != nil { // the last to close works it in
		t.Fatal(err)
	}
	if err := openAndVerify(killed, false); err != nil {
		t.Errorf("verify after another program: %v", err)
	}
	if err := openAndVerify(killed, true); err != nil {
		t.Errorf("start after another program: %v", err)
	}
	if _, err := OpenSQLiteReader(t.TempDir()); err == nil {
		t.Error("opened a log that is not there")
	}
}

func TestSQLite_DiskFull(t *testing.T) {
	store := openSQLite(t, t.TempDir())
	log := open(t, store)
	fill(t, log, 10)
	full := func(pages int) {
		if _, err := store.(*sqliteStore).write.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
			t.Fatal(err)
		}
	}
	full(1) // as many as there are
	var many []proto.Message
	for range 500 {
		many = append(many, queued("a rather long name of a song.mp3"))
	}
	_, err := log.Append(10, "a", nil, many...)
	if err == nil || !strings.Contains(err.Error(), "no room on the disk") || !strings.Contains(err.Error(), "conga.db") {
		t.Errorf("append to a full disk: %v", err)
	}
	if log.Last() != 10 {
		t.Errorf("at %d", log.Last())
	}
	full(1 << 30)
	if last, err := log.Append(10, "a", nil, many...); last != 510 || err != nil {
		t.Errorf("append when there is room again: %d, %v", last, err)
	}
	if _, err := log.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

// The write-ahead log does not grow for ever, and the sums stay true to the file.
func TestSQLite_Checkpoint(t *testing.T) {
	dir := t.TempDir()
	log := open(t, openSQLite(t, dir))
	for range 40 {
		if _, err := log.Append(Any, "a", nil, queued(strings.Repeat("x", 300_000))); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(filepath.Join(dir, "conga.db-wal"))
	if err != nil || info.Size() > maxWAL+1<<20 {
		t.Errorf("the write-ahead log has %d bytes, %v", info.Size(), err)
	}
	if _, err := log.Verify(t.Context()); err != nil {
		t.Error(err)
	}
	if err := openAndVerify(copyLog(t, dir), false); err != nil {
		t.Error(err)
	}
}

const crashDir = "CONGA_TEST_CRASH_DIR"

// TestCrashChild is the process that TestSQLite_Kill kills: it appends from several
// goroutines and prints each number that was acknowledged.
func TestCrashChild(t *testing.T) {
	dir := os.Getenv(crashDir)
	if dir == "" {
		t.Skip("only as a child of TestSQLite_Kill")
	}
	store := openSQLite(t, dir)
	store.(*sqliteStore).maxWAL = 64 << 10 // a checkpoint every ten commits: kills hit them too
	log := open(t, store)
	for range 4 {
		go func() {
			for {
				last, err := log.Append(Any, "a", nil, queued("x"), queued("y"))
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

// kill -9 at random moments: what was acknowledged is there, whole commits only, and
// the chain of hashes holds.
func TestSQLite_Kill(t *testing.T) {
	dir := t.TempDir()
	kills := 12
	if testing.Short() {
		kills = 3
	}
	acknowledged := uint64(0)
	for range kills {
		cmd := exec.Command(os.Args[0], "-test.run=^TestCrashChild$")
		cmd.Env = append(os.Environ(), crashDir+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for left := 1 + rand.IntN(300); left >= 0 && lines.Scan(); left-- {
			if number, ok := strings.CutPrefix(lines.Text(), "kept "); ok {
				n, err := strconv.ParseUint(number, 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				acknowledged = max(acknowledged, n)
			} else {
				t.Log(lines.Text())
			}
			if left == 0 {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		for lines.Scan() { // printed before the kill
			if number, ok := strings.CutPrefix(lines.Text(), "kept "); ok {
				if n, err := strconv.ParseUint(number, 10, 64); err == nil {
					acknowledged = max(acknowledged, n)
				}
			}
		}
		_ = cmd.Wait()
		log := open(t, openSQLite(t, dir))
		if n, err := log.Verify(t.Context()); err != nil || n < acknowledged || n%2 != 0 || n == 0 {
			t.Fatalf("%d events are there, %d were acknowledged: %v", n, acknowledged, err)
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d kills, %d events acknowledged, none lost", kills, acknowledged)
}
