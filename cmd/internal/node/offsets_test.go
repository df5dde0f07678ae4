package node

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const msec = time.Millisecond

func offsets(t testing.TB, dir string, given *time.Duration) *Offsets {
	return OpenOffsets(dir, given, slog.New(slog.NewTextHandler(t.Output(), nil)))
}

func TestOffsets_EachDevice(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "amy")
	o := offsets(t, dir, nil)
	o.Keep("headphones", 12*msec)
	o.Keep("tv", -180*msec)
	o.Keep("headphones", 13500*time.Microsecond)
	o.Close()
	o = offsets(t, dir, nil)
	for device, want := range map[string]time.Duration{"headphones": 13500 * time.Microsecond, "tv": -180 * msec, "new": 0} {
		if got := o.Of(device); got != want {
			t.Errorf("%s: %v, want %v", device, got, want)
		}
	}
	given := 40 * msec
	o = offsets(t, dir, &given)
	if got := o.Of("tv"); got != given {
		t.Errorf("the flag does not win: %v", got)
	}
	o.Keep("tv", 41*msec)
	if got := o.Of("tv"); got != 41*msec {
		t.Errorf("set by hand after the start: %v", got)
	}
	if got := o.Of("headphones"); got != given {
		t.Errorf("another device: %v", got)
	}
	o.Close()
}

// Two listeners of one name write one file: neither removes what the other has set.
func TestOffsets_Twice(t *testing.T) {
	dir := t.TempDir()
	a, b := offsets(t, dir, nil), offsets(t, dir, nil)
	a.Keep("left", msec)
	a.Close()
	b.Keep("right", 2*msec)
	b.Close()
	o := offsets(t, dir, nil)
	if o.Of("left") != msec || o.Of("right") != 2*msec {
		t.Error(o.kept)
	}
}

// A file that somebody has damaged, or a folder that cannot be written, does not stop a listener.
func TestOffsets_Damaged(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, offsetsFile)
	for name, text := range map[string]string{
		"no JSON": "{", "another shape": `{"a":1}`, "too large": `["` + strings.Repeat("x", maxOffsets) + `"]`, "empty": "",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		o := offsets(t, dir, nil)
		if got := o.Of("tv"); got != 0 {
			t.Error(name, got)
		}
		o.Keep("tv", msec)
		o.Close()
		if got := offsets(t, dir, nil).Of("tv"); got != msec {
			t.Error(name, "is not replaced:", got)
		}
	}
	o := offsets(t, filepath.Join(path, "below a file"), nil)
	o.Keep("tv", msec)
	o.Close()
	if got := o.Of("tv"); got != msec {
		t.Error(got)
	}
}

// The file is bounded, and holds what was set last.
func TestOffsets_Property_Bounded(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		o := offsets(t, "", nil)
		latest := map[string]time.Duration{}
		last := ""
		for range rapid.IntRange(1, 3*maxDevices).Draw(rt, "changes") {
			last = fmt.Sprint(rapid.IntRange(0, 2*maxDevices).Draw(rt, "device"))
			latest[last] = time.Duration(rapid.IntRange(-500, 500).Draw(rt, "ms")) * msec
			o.Keep(last, latest[last])
			if len(o.kept) > maxDevices || o.Of(last) != latest[last] {
				rt.Fatal(last, o.kept)
			}
		}
		for _, k := range o.kept {
			if o.Of(k.Device) != latest[k.Device] {
				rt.Fatal(k, latest[k.Device])
			}
		}
	})
}
