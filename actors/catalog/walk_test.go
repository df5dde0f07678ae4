package catalog

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// deep puts a file into a subfolder, which is made.
func deep(t testing.TB, dir, name string, content []byte) {
	t.Helper()
	at := filepath.Join(dir, filepath.FromSlash(path.Dir(name)))
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, at, path.Base(name), content)
}

func link(t testing.TB, to, at string) {
	t.Helper()
	if err := os.Symlink(to, at); err != nil {
		t.Fatal(err)
	}
}

// Songs in subfolders and behind links are found, and named by their paths. Hidden files, files of the system, and
// loops are passed over. A file that cannot be a song's name is left out by name; such a folder is named once, without
// its files.
func TestWalk_Subfolders(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	short := song(t, "bach.mp3")[:5000]
	untitled := bare(t, "bach.mp3")[:5000]
	for _, name := range []string{
		"top.mp3", "Bach/Preludes/01.mp3", "Bach/Preludes/02, in D.MP3", "Bach/x.mp3/y.mp3", "Bach/.hidden/z.mp3", ".git/a.mp3", "lost+found/a.mp3",
		"line\nbreak/1.mp3", "line\nbreak/2.mp3", "ok/line\nbreak.mp3", `back\slash/1.mp3`,
		strings.Repeat(strings.Repeat("x", 200)+"/", 2) + strings.Repeat("y", 200) + ".mp3",
	} {
		deep(t, dir, name, short)
	}
	deep(t, dir, "Some One/untitled song.mp3", untitled)
	deep(t, elsewhere, "disk/Album/far.mp3", short)
	link(t, filepath.Join(elsewhere, "disk"), filepath.Join(dir, "other disk"))
	link(t, "..", filepath.Join(dir, "Bach", "loop"))
	link(t, dir, filepath.Join(dir, "loop"))
	link(t, filepath.Join(elsewhere, "no such"), filepath.Join(dir, "nowhere"))
	w := newWatcher(t, dir)
	w.look(0)
	want := []string{"Bach/Preludes/01.mp3", "Bach/Preludes/02, in D.MP3", "Bach/x.mp3/y.mp3", "Some One/untitled song.mp3", "other disk/Album/far.mp3", "top.mp3"}
	if got := w.state.Names(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := w.state.Find("Some One/untitled song.mp3").GetTitle(); got != "untitled song" {
		t.Errorf("a song without a tag is called %q", got)
	}
	var refused []string
	for r := range w.state.Rejected.All() {
		refused = append(refused, r.Name)
		if badName(strings.TrimSuffix(r.Name, "/")) == "" {
			t.Errorf("%q is refused: %s", r.Name, r.Reason)
		}
		if !isPlain(r.Name) || len(r.Name) > 500 {
			t.Errorf("%q cannot be shown", r.Name)
		}
	}
	if len(refused) != 4 {
		t.Errorf("left out are %q", refused)
	}
	for _, name := range want {
		f, err := Open(dir, name)
		if err != nil {
			t.Errorf("%q cannot be opened: %v", name, err)
			continue
		}
		_ = f.Close()
	}
	w.look(time.Second)
	if len(w.reports) > 0 {
		t.Errorf("nothing has changed, and it reports %v", w.reports)
	}
}

// Links that lead to each other make endlessly many folders. The search for songs ends nevertheless.
func TestWalk_LinksWithoutEnd(t *testing.T) {
	if testing.Short() {
		t.Skip("it looks into many folders")
	}
	dir := t.TempDir()
	for i := range 24 {
		at := filepath.Join(dir, fmt.Sprint(i))
		if err := os.Mkdir(at, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, way := range []string{"a", "b"} {
			link(t, filepath.Join("..", fmt.Sprint(i+1)), filepath.Join(at, way))
		}
	}
	deep(t, dir, "24/end.mp3", song(t, "bach.mp3")[:5000])
	w := newWatcher(t, dir)
	w.look(0)
	if len(w.saw.folders) > maxFolders || w.state.Rejected.Len() != 1 {
		t.Errorf("%d folders were seen, %d names are left out", len(w.saw.folders), w.state.Rejected.Len())
	}
}

// Away is not gone, for each subfolder: while a folder cannot be seen, none of its songs is removed. All other songs
// are as they are on the disk, whatever was taken away, put back, added and deleted.
func TestWalk_Property_AwayIsNotGone(t *testing.T) {
	short := song(t, "bach.mp3")[:5000]
	root := t.TempDir()
	runs := 0
	rapid.Check(t, func(t *rapid.T) {
		runs++
		dir := filepath.Join(root, fmt.Sprint(runs))
		must := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		real := func(folder string) string { return filepath.Join(dir, "."+folder) } // hidden, so that it is seen by its link only
		folders := []string{"a", "b", "c"}
		names := []string{"1.mp3", "2.mp3", "deeper/3.mp3"}
		away, there := map[string]bool{}, map[string]bool{}
		must(os.MkdirAll(dir, 0o755))
		must(os.WriteFile(filepath.Join(dir, "top.mp3"), short, 0o644)) // else an empty folder would be away as a whole
		for _, folder := range folders {
			must(os.MkdirAll(filepath.Join(real(folder), "deeper"), 0o755))
			must(os.Symlink(real(folder), filepath.Join(dir, folder)))
		}
		w := &watcher{dir: dir, now: time.Now(), first: true}
		want := map[string]bool{}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			folder, name := rapid.SampledFrom(folders).Draw(t, "folder"), rapid.SampledFrom(names).Draw(t, "name")
			song := folder + "/" + name
			switch rapid.IntRange(0, 4).Draw(t, "act") {
			case 0, 1:
				at := filepath.Join(dir, "."+song)
				if away[folder] {
					at = filepath.Join(dir, ".away."+song)
				}
				must(os.WriteFile(at, short, 0o644))
				must(os.Chtimes(at, w.now.Add(-time.Hour), w.now.Add(-time.Hour)))
				there[song] = true
			case 2:
				at := filepath.Join(dir, "."+song)
				if away[folder] {
					at = filepath.Join(dir, ".away."+song)
				}
				_ = os.Remove(at) // it may not be there
				delete(there, song)
			case 3:
				if !away[folder] {
					must(os.Rename(real(folder), filepath.Join(dir, ".away."+folder)))
				} else {
					must(os.Rename(filepath.Join(dir, ".away."+folder), real(folder)))
				}
				away[folder] = !away[folder]
			case 4: // a restart forgets all but the log
				w.known, w.saw = remembered(w.state, false), sighting{unseen: w.state.Folders}
			}
			w.look(time.Hour)
			for _, folder := range folders {
				for _, name := range names {
					if song := folder + "/" + name; !away[folder] {
						want[song] = there[song]
					}
				}
			}
			maps.DeleteFunc(want, func(_ string, is bool) bool { return !is })
			got := map[string]bool{}
			for _, name := range w.state.Names() {
				if name != "top.mp3" {
					got[name] = true
				}
			}
			if !maps.Equal(got, want) {
				t.Fatalf("known are %v, want %v; away are %v", got, want, away)
			}
			for _, folder := range folders {
				known := slices.ContainsFunc(slices.Collect(maps.Keys(want)), func(song string) bool { return strings.HasPrefix(song, folder+"/") })
				if _, is := w.state.Folders[folder]; is != (away[folder] && known) {
					t.Fatalf("the folder %s is away: %v; the state says %v", folder, away[folder], w.state.Folders)
				}
			}
		}
	})
}

// An unmounted disk leaves an empty folder, its mount point: its songs stay known. If somebody has emptied a folder, its
// songs are gone.
func TestWalk_EmptyFolder(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"disk/1.mp3", "album/2.mp3", "3.mp3"} {
		deep(t, dir, name, song(t, "bach.mp3")[:5000])
	}
	w := newWatcher(t, dir)
	w.look(0)
	mounted, off := filepath.Join(dir, "disk"), filepath.Join(t.TempDir(), "disk")
	if err := os.Rename(mounted, off); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(mounted, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "album", "2.mp3")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		w.look(time.Second)
		if got := w.state.Names(); !slices.Equal(got, []string{"3.mp3", "disk/1.mp3"}) || w.state.Folders["disk"] == "" {
			t.Errorf("got %v, away are %v", got, w.state.Folders)
		}
	}
	if err := os.Remove(mounted); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(off, mounted); err != nil {
		t.Fatal(err)
	}
	if w.look(time.Second); len(w.state.Folders) != 0 || w.state.Songs.Len() != 2 {
		t.Errorf("got %v, away are %v", w.state.Names(), w.state.Folders)
	}
}

// A song in a subfolder, old or new, is known as soon as the system reports it, however long the poll is.
func TestCatalog_WatchesSubfolders(t *testing.T) {
	dir := t.TempDir()
	deep(t, dir, "Bach/1.mp3", song(t, "bach.mp3"))
	h := openPolling(t, dir, nil, time.Hour)
	h.expect("added Bach/1.mp3")
	<-h.ready
	if !h.view().Live.(live).Watched {
		t.Skip("this system tells nothing of changes")
	}
	put(t, filepath.Join(dir, "Bach"), "2.mp3", song(t, "bach.mp3"))
	h.expect("added Bach/2.mp3")
	made := filepath.Join(t.TempDir(), "new")
	deep(t, made, "Album/3.mp3", song(t, "bach.mp3"))
	if err := os.Rename(made, filepath.Join(dir, "new")); err != nil {
		t.Fatal(err)
	}
	h.expect("added new/Album/3.mp3")
	put(t, filepath.Join(dir, "new", "Album"), "4.mp3", song(t, "bach.mp3"))
	h.expect("added new/Album/4.mp3")
}
