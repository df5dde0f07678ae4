package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"conga/actors/eventlog"
	"conga/actors/eventlog/storetest"
	"conga/messages/chance"
)

// copyLog copies an open log's files, as a killed server would leave them.
func copyLog(t testing.TB, from string) (to string) {
	t.Helper()
	to = t.TempDir()
	for _, name := range []string{"conga.db", "conga.db-wal", "conga.db-last"} {
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

// content is what matters of a log: every event, and the state that they lead to.
func content(dir string) (string, error) {
	store, err := OpenReader(dir)
	if err != nil {
		return "", err
	}
	log, err := eventlog.Open(store, time.Now)
	if err != nil {
		return "", errors.Join(err, store.Close())
	}
	defer log.Close()
	if _, err := log.Verify(context.Background()); err != nil {
		return "", err
	}
	var text strings.Builder
	for r, err := range log.Since(0) {
		if err != nil {
			return "", err
		}
		fmt.Fprintln(&text, r.Row())
	}
	k, err := eventlog.NewKeeper(log, "queue", storetest.Queue{})
	if err != nil {
		return "", err
	}
	fmt.Fprintln(&text, k.Seq(), k.State())
	return text.String(), nil
}

// state returns the state with which a server begins.
func state(dir string) (string, error) {
	store, err := Open(dir)
	if err != nil {
		return "", err
	}
	log, err := eventlog.Open(store, time.Now)
	if err != nil {
		return "", errors.Join(err, store.Close())
	}
	defer log.Close()
	k, err := eventlog.NewKeeper(log, "queue", storetest.Queue{})
	if err != nil {
		return "", err
	}
	return fmt.Sprintln(k.Seq(), k.State()), nil
}

// logs returns a log that was closed, and the log of a killed server. In both, events 1 to 200 are folded
// into the base, and there is a snapshot at event 600.
func logs(t *testing.T) (clean, killed string) {
	t.Helper()
	dir := t.TempDir()
	log := storetest.Open(t, openAt(t, dir))
	k := storetest.Keeper(t, log, storetest.Queue{})
	var states []map[string]eventlog.Frozen
	for _, n := range []int{200, 400} {
		storetest.Fill(t, log, n)
		if err := k.CatchUp(); err != nil {
			t.Fatal(err)
		}
		states = append(states, map[string]eventlog.Frozen{"queue": eventlog.Freeze(k.State())})
	}
	if err := errors.Join(log.Drop(200, states[0]), log.SaveSnapshot(600, states[1])); err != nil {
		t.Fatal(err)
	}
	storetest.Fill(t, log, 100)
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	clean = copyLog(t, dir)
	log = storetest.Open(t, openAt(t, dir))
	storetest.Fill(t, log, 100)
	return clean, copyLog(t, dir)
}

// If any one bit of a copied log is flipped, Verify finds it, or it changes neither an event nor a
// state. If a server can still start on it, it has the correct state.
func TestFlippedBit(t *testing.T) {
	const flips = 10 // of each file
	clean, killed := logs(t)
	for name, whole := range map[string]string{"clean": clean, "killed": killed} {
		was, err := content(copyLog(t, whole))
		begins, err2 := state(copyLog(t, whole))
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		random := rand.New(rand.NewPCG(chance.Seed(t), uint64(len(name))))
		for _, file := range []string{"conga.db", "conga.db-wal", "conga.db-last"} {
			info, err := os.Stat(filepath.Join(whole, file))
			if err != nil {
				continue
			}
			found := 0
			for range flips {
				at, bit := random.Int64N(info.Size()), random.IntN(8)
				dir := copyLog(t, whole)
				flip(t, filepath.Join(dir, file), at, bit)
				is, err := content(dir)
				if err == nil && is != was {
					t.Errorf("%s: bit %d of byte %d of %s was flipped, and nobody sees that the log is another", name, bit, at, file)
				}
				if err != nil {
					found++
					if !strings.Contains(err.Error(), dir) && !strings.Contains(err.Error(), "snapshot") && !errors.Is(err, eventlog.ErrDamaged) {
						t.Errorf("%s: bit %d of byte %d of %s was flipped: %v", name, bit, at, file, err)
					}
				}
				if is, err := state(dir); err == nil && is != begins {
					t.Errorf("%s: bit %d of byte %d of %s was flipped, and a server begins with another state", name, bit, at, file)
				}
			}
			t.Logf("%s: %d of %d flipped bits in %s are found", name, found, flips, file)
		}
	}
}

// A flipped bit in an event is named with the event's number.
func TestFlippedBit_InAnEvent(t *testing.T) {
	clean, _ := logs(t)
	file, err := os.ReadFile(filepath.Join(clean, "conga.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{250, 399} { // song 1 of the second lot is event 201
		dir := copyLog(t, clean)
		song := []byte(fmt.Sprintf("song %d.mp3", n))
		at := bytes.LastIndex(file, song)
		if at < 0 {
			t.Fatalf("%s is not in the file", song)
		}
		flip(t, filepath.Join(dir, "conga.db"), int64(at), 1)
		var damage *eventlog.Damage
		if _, err := content(dir); !errors.As(err, &damage) || damage.Seq != uint64(200+n) {
			t.Errorf("%s, event %d: %v", song, 200+n, err)
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
	openStore := OpenReader
	if writer {
		openStore = Open
	}
	store, err := openStore(dir)
	if err != nil {
		return err
	}
	log, err := eventlog.Open(store, time.Now)
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

func TestTorn(t *testing.T) {
	dir := t.TempDir()
	log := storetest.Open(t, openAt(t, dir))
	storetest.Fill(t, log, 400)
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	log = storetest.Open(t, openAt(t, dir))
	storetest.Fill(t, log, 200)
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
		{"conga.db-last", 0, true}, // after a power cut
		{"conga.db-last", 40, false},
	} {
		torn := copyLog(t, killed)
		if err := os.Truncate(filepath.Join(torn, c.file), c.left); err != nil {
			t.Fatal(err)
		}
		err := openAndVerify(torn, true)
		if c.ok != (err == nil) || err != nil && (!errors.Is(err, eventlog.ErrDamaged) || !strings.Contains(err.Error(), "conga.db")) {
			t.Errorf("%s cut to %d bytes: %v", c.file, c.left, err)
		}
	}
}
