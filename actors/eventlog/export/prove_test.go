package export

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"

	"conga/actors/eventlog"
	"conga/actors/eventlog/sqlite"
	"conga/actors/eventlog/storetest"
)

// Export, import and export again give the same bytes, including the hashes.
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
