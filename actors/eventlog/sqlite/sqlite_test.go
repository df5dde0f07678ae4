package sqlite

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"conga/actors/eventlog"
	"conga/actors/eventlog/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openAt(t testing.TB, dir string) *Store {
	t.Helper()
	store, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// The store itself, and a Steady and a diary above it.
func TestContract(t *testing.T) {
	for name, above := range map[string]func(t testing.TB, disk *Store, dir string) (eventlog.Store, error){
		"sqlite": func(_ testing.TB, disk *Store, _ string) (eventlog.Store, error) { return disk, nil },
		"steady": func(_ testing.TB, disk *Store, dir string) (eventlog.Store, error) {
			return eventlog.OpenSteady(disk, eventlog.SteadyConfig{Reserve: NewReserve(dir, 1<<16), Tell: func(eventlog.DiskState, error) {}})
		},
		"diary": func(t testing.TB, disk *Store, _ string) (eventlog.Store, error) {
			return eventlog.OpenDiary(disk, func(err error) { t.Errorf("trouble: %v", err) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Contract(t, func(t testing.TB) (eventlog.Store, func() eventlog.Store) {
				dir := t.TempDir()
				again := func() eventlog.Store {
					store, err := above(t, openAt(t, dir), dir)
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { _ = store.Close() })
					return store
				}
				return again(), again
			})
		})
	}
}

func TestOpen_Locked(t *testing.T) {
	dir := t.TempDir()
	log := storetest.Open(t, openAt(t, dir))
	storetest.Fill(t, log, 3)
	_, err := Open(dir)
	if !errors.Is(err, eventlog.ErrLocked) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("second opener: %v", err)
	}
	storetest.Fill(t, log, 3) // the first opener still works
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if again := storetest.Open(t, openAt(t, dir)); again.Last() != 6 {
		t.Errorf("after the first: at %d", again.Last())
	}
}

func TestOpen_Refuses(t *testing.T) {
	write := func(name, text string) func(string) error {
		return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600) }
	}
	pragma := func(statement string) func(string) error {
		return func(dir string) error {
			s, err := Open(dir)
			if err != nil {
				return err
			}
			_, err = s.write.Exec(statement)
			return errors.Join(err, s.Close())
		}
	}
	for _, c := range []struct {
		name  string
		setup func(dir string) error
		is    error
		says  string
	}{
		{"newer", pragma("PRAGMA user_version = 9"), eventlog.ErrNewer, "start the newer conga"},
		{"older than the first", pragma("PRAGMA user_version = 0"), eventlog.ErrDamaged, "restore"},
		{"another program's", pragma("PRAGMA application_id = 7"), nil, "not a conga log"},
		{"not a database", write("conga.db", strings.Repeat("not a database ", 100)), eventlog.ErrDamaged, "conga.db"},
		{"note", write("conga.db-last", strings.Repeat("x", 95)), eventlog.ErrDamaged, "conga.db-last"},
		{"the log is gone", write("conga.db-last", string(noteText(eventlog.Mark{Seq: 7, Hash: make([]byte, 32)}))), eventlog.ErrDamaged, "events 1 to 7"},
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
			s, err := Open(dir)
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

// The log of a killed server can be read without changing it, while another process
// reads it, and after the sqlite3 program has copied the write-ahead log into the file.
func TestReader(t *testing.T) {
	dir := t.TempDir()
	log := storetest.Open(t, openAt(t, dir))
	storetest.Fill(t, log, 500)
	if err := openAndVerify(dir, false); err != nil {
		t.Errorf("read while the server runs: %v", err)
	}
	reader, err := OpenReader(dir)
	if err != nil {
		t.Fatal(err)
	}
	live := storetest.Open(t, reader)
	storetest.Fill(t, log, 100)
	if err := live.Refresh(); err != nil || live.Last() != 600 || len(storetest.Collect(t, live, 550)) != 50 {
		t.Errorf("the reader sees %d events, %v", live.Last(), err)
	}
	if _, err := live.Append(600, "a", nil, storetest.Queued("x")); err == nil {
		t.Error("a reader has written")
	}
	killed, untouched := copyLog(t, dir), copyLog(t, dir)
	for range 2 {
		if err := openAndVerify(killed, false); err != nil {
			t.Errorf("read after a kill: %v", err)
		}
	}
	for _, name := range []string{"conga.db", "conga.db-wal", "conga.db-last"} {
		was, err := os.ReadFile(filepath.Join(untouched, name))
		is, err2 := os.ReadFile(filepath.Join(killed, name))
		if err != nil || err2 != nil || !bytes.Equal(was, is) {
			t.Errorf("the reader has changed %s (%v, %v)", name, err, err2)
		}
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
	if err := foreign.Close(); err != nil { // the last to close copies the write-ahead log into the file
		t.Fatal(err)
	}
	if err := openAndVerify(killed, false); err != nil {
		t.Errorf("verify after another program: %v", err)
	}
	if err := openAndVerify(killed, true); err != nil {
		t.Errorf("start after another program: %v", err)
	}
	if _, err := OpenReader(t.TempDir()); err == nil {
		t.Error("opened a log that is not there")
	}
}

func TestDiskFull(t *testing.T) {
	store := openAt(t, t.TempDir())
	log := storetest.Open(t, store)
	storetest.Fill(t, log, 10)
	full := func(pages int) {
		if _, err := store.write.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
			t.Fatal(err)
		}
	}
	full(1) // as many as there are
	var many []proto.Message
	for range 500 {
		many = append(many, storetest.Queued("a rather long name of a song.mp3"))
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

// The write-ahead log does not grow without end, and a huge commit leaves no huge one.
func TestCheckpoint(t *testing.T) {
	dir := t.TempDir()
	log := storetest.Open(t, openAt(t, dir))
	storetest.Fill(t, log, 100)
	if _, err := log.Append(eventlog.Any, "a", nil, storetest.Queued(strings.Repeat("x", 40<<20))); err != nil {
		t.Fatal(err)
	}
	for range 40 {
		if _, err := log.Append(eventlog.Any, "a", nil, storetest.Queued(strings.Repeat("x", 300_000))); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(filepath.Join(dir, "conga.db-wal"))
	if err != nil || info.Size() > walPages*4096+1<<20 {
		t.Errorf("the write-ahead log has %d bytes, %v", info.Size(), err)
	}
	if _, err := log.Verify(t.Context()); err != nil {
		t.Error(err)
	}
	if err := openAndVerify(copyLog(t, dir), false); err != nil {
		t.Error(err)
	}
}

// Many events are dropped piece by piece: appends come in between. A Drop that was interrupted leaves nothing that
// counts, and the next Open deletes it.
func TestDrop_PieceByPiece(t *testing.T) {
	const many = 10 * dropAtOnce
	dir := t.TempDir()
	store := openAt(t, dir)
	rows := storetest.Rows(eventlog.Mark{}, many)
	if err := store.Append(0, rows); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- store.Drop(rows[many-2].Mark(), []byte("states")) }()
	last, between := rows[many-1].Mark(), 0
	for dropping := true; dropping; {
		next := storetest.Rows(last, 1)
		if err := store.Append(last.Seq, next); err != nil {
			t.Fatal(err)
		}
		last = next[0].Mark()
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			dropping = false
		default:
			if base, _, err := store.Marks(); err != nil {
				t.Fatal(err)
			} else if base.Seq > 0 { // it is under way
				between++
			}
		}
	}
	if between == 0 {
		t.Error("no append came between the pieces")
	}
	if left, err := store.Read(0, 2, eventlog.Whole); err != nil || left[0].Seq != many {
		t.Errorf("the log begins with %v, %v", left[0].Seq, err)
	}

	if err := store.rebase(last, nil, many); err != nil { // and no further
		t.Fatal(err)
	}
	if base, end, err := store.Marks(); err != nil || base.Seq != last.Seq || end.Seq != last.Seq {
		t.Errorf("the log has %d to %d, %v", base.Seq, end.Seq, err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := openAt(t, dir).Read(0, 1, eventlog.Whole); err != nil || len(left) > 0 {
		t.Errorf("left after the next start: %v, %v", left, err)
	}
}
