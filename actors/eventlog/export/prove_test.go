package export

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"conga/actors/eventlog"
	"conga/actors/eventlog/sqlite"
	"conga/actors/eventlog/storetest"
)

// Export, import, export is the same bytes, hashes and all.
func TestImport_Lossless(t *testing.T) {
	disk, err := sqlite.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, store := range map[string]eventlog.Store{"memory": eventlog.NewMemory(), "sqlite": disk} {
		t.Run(name, func(t *testing.T) {
			lines := export(t, story(t, eventlog.NewMemory()))
			if want := `{"seq":1,"time":"2026-11-22T10:11:12.001000Z","actor":"scheduler","type":"SongQueued","version":1,` +
				`"event":{"request_id":"r1","listener_name":"amy","song":"bach.mp3"},"cause_type":"RequestPlay","cause":{"request_id":"r1","wish":"2"},` +
				`"of":1,"data":"CgJyMRoDYW15IghiYWNoLm1wMw==","cause_data":"CgJyMSIBMg==","hash":"`; !strings.HasPrefix(string(lines[0]), want) {
				t.Errorf("line is\n%s\nwant\n%s", lines[0], want)
			}
			if n, err := Import(store, decodeAll(lines)); n != 6 || err != nil {
				t.Fatalf("imported %d, %v", n, err)
			}
			to := storetest.Open(t, store)
			if _, err := to.Verify(t.Context()); err != nil {
				t.Fatal(err)
			}
			if again := export(t, to); !reflect.DeepEqual(again, lines) {
				t.Errorf("exported again\n%s\nwant\n%s", bytes.Join(again, []byte("\n")), bytes.Join(lines, []byte("\n")))
			}
			if last, err := to.Append(6, "scheduler", nil, storetest.Queued("x")); last != 7 || err != nil {
				t.Errorf("append after import: %d, %v", last, err)
			}
		})
	}
}

func TestImport_Refuses(t *testing.T) {
	lines := export(t, story(t, eventlog.NewMemory()))
	edit := func(i int, from, to string) [][]byte {
		edited := slices.Clone(lines)
		edited[i] = bytes.Replace(edited[i], []byte(from), []byte(to), 1)
		return edited
	}
	for _, c := range []struct {
		name  string
		lines [][]byte
		kept  uint64
	}{
		{"changed data", edit(4, `"data":"Ch`, `"data":"Cg`), 4},
		{"changed actor", edit(1, "scheduler", "schedules"), 1},
		{"changed time", edit(0, ".001000Z", ".001001Z"), 0},
		{"changed hash", edit(5, `"hash":"`, `"hash":"00`), 5},
		{"hole", slices.Delete(slices.Clone(lines), 1, 2), 1},
		{"cut inside a commit", lines[:3], 2},
		{"begins late", lines[1:], 0},
		{"no JSON", edit(2, `{`, `[`), 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := eventlog.NewMemory()
			n, err := Import(store, decodeAll(c.lines))
			if err == nil {
				t.Error("it was imported")
			}
			_, last, _ := store.Marks()
			if n != c.kept || last.Seq != c.kept {
				t.Errorf("kept %d, store at %d, want %d", n, last.Seq, c.kept)
			}
		})
	}
	store := eventlog.NewMemory()
	if _, err := Import(store, decodeAll(lines)); err != nil {
		t.Fatal(err)
	}
	if _, err := Import(store, decodeAll(lines)); err == nil {
		t.Error("imported over a log")
	}
}

// Out of a damaged log come the events before the first that is damaged, and its number; the same
// log whole comes whole.
func TestSound(t *testing.T) {
	whole := eventlog.NewMemory()
	story(t, whole)
	for _, bad := range []int{0, 1, 4, 6} {
		rows, err := whole.Read(0, 100, eventlog.Whole)
		if err != nil {
			t.Fatal(err)
		}
		if bad > 0 {
			rows[bad-1].Actor = "mallory"
		}
		store := eventlog.NewMemory()
		if err := store.Append(0, rows); err != nil {
			t.Fatal(err)
		}
		n, end := 0, error(nil)
		for r, err := range Sound(store) {
			if end = err; err != nil {
				break
			}
			if n++; r.Seq != uint64(n) {
				t.Errorf("event %d came as the %dth", r.Seq, n)
			}
		}
		var damage *eventlog.Damage
		switch {
		case bad == 0 && (n != 6 || end != nil), bad > 0 && (n != bad-1 || !errors.As(end, &damage) || damage.Seq != uint64(bad)):
			t.Errorf("with event %d damaged %d events come, then %v", bad, n, end)
		}
	}
}
