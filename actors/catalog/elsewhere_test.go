package catalog

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"conga/actors/catalog/library"
	"conga/actors/catalog/stock"
	"conga/messages"
)

// radioOf are the songs of a folder in which each has its content, as a server that leads knows them.
func radioOf(t *testing.T, songs map[string][]byte) library.State {
	t.Helper()
	dir := t.TempDir()
	for name, content := range songs {
		put(t, dir, name, content)
	}
	w := newWatcher(t, dir)
	w.look(time.Minute)
	if w.state.Songs.Len() != len(songs) {
		t.Fatalf("the radio has %v", w.state.Names())
	}
	return w.state
}

func fetchedIn(t *testing.T, most int64) *Fetched {
	t.Helper()
	f, err := OpenFetched(filepath.Join(t.TempDir(), "fetched"), most)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func find(t *testing.T, state library.State, name string) *library.Song {
	t.Helper()
	song, found := state.Songs.Find(name)
	if !found {
		t.Fatalf("there is no song %s", name)
	}
	return song
}

// only is a machine that has made nothing itself.
func only(fetched *Fetched) stock.Has {
	return stock.Has{Fetched: fetched.HasSum, Made: func(string, string) bool { return false }}
}

// A server that has taken over has one song of the radio under its name, one under another name, one was fetched and one is
// missing. Nothing of that changes the radio's songs, except that the missing one is gone until it comes.
func TestLook_Elsewhere(t *testing.T) {
	one, two := song(t, "bach.mp3"), song(t, "pachelbel.mp3")
	three, four := slices.Concat(one, []byte("another tag")), slices.Concat(two, []byte("another tag"))
	radio := radioOf(t, map[string][]byte{"a.mp3": one, "b.mp3": two, "c.mp3": three, "d.mp3": four})

	dir, fetched := t.TempDir(), fetchedIn(t, 1<<30)
	drop(t, dir, "a.mp3", one, time.UnixMicro(find(t, radio, "a.mp3").ModifiedUnixUs))
	put(t, dir, "z.mp3", two)
	if err := fetched.Take(t.Context(), find(t, radio, "c.mp3"), bytes.NewReader(three)); err != nil {
		t.Fatal(err)
	}
	files, err := Files(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range files {
		if files[i].Sum, err = SumOf(t.Context(), dir, files[i]); err != nil {
			t.Fatal(err)
		}
	}
	s := stock.Of(radio.Songs.All(), files, only(fetched))
	if len(s.Places) != 3 || !slices.Equal(s.Lacks, []string{"d.mp3"}) {
		t.Fatalf("places %v, lacks %v", s.Places, s.Lacks)
	}

	w := newWatcher(t, dir)
	w.state, w.known, w.moved = radio, remembered(radio, false), NewElsewhere(s.Places, fetched)
	expect := func(names string, reports int) {
		t.Helper()
		w.look(time.Minute)
		if got := strings.Join(w.state.Names(), " "); got != names || len(w.reports) != reports || w.saw.away != "" {
			t.Fatalf("the songs are %s after %d reports (%s), want %s after %d", got, len(w.reports), w.saw.away, names, reports)
		}
		for _, name := range w.state.Names() {
			if known, is := radio.Songs.Find(name); is && *known != *find(t, w.state, name) {
				t.Fatalf("%s is %v, was %v", name, find(t, w.state, name), known)
			}
		}
	}
	expect("a.mp3 b.mp3 c.mp3", 1)
	expect("a.mp3 b.mp3 c.mp3", 0)
	for name, want := range map[string][]byte{"b.mp3": two, "c.mp3": three} {
		f, as, found, err := w.moved.Open(dir, name)
		if err != nil || !found || as.GetModifiedUnixUs() != find(t, radio, name).ModifiedUnixUs {
			t.Fatalf("open %s: %v, %v", name, found, err)
		}
		got, err := io.ReadAll(f)
		if _ = f.Close(); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s has %d bytes, %v", name, len(got), err)
		}
	}
	if _, _, found, _ := w.moved.Open(dir, "a.mp3"); found {
		t.Error("a song in its place is said to be elsewhere")
	}

	if err := fetched.Take(t.Context(), find(t, radio, "d.mp3"), bytes.NewReader(four)); err != nil {
		t.Fatal(err)
	}
	expect("a.mp3 b.mp3 c.mp3 d.mp3", 1)
	put(t, dir, "z.mp3", song(t, "bach.mp3")) // it was somebody's own file all along
	expect("a.mp3 c.mp3 d.mp3 z.mp3", 1)
	if f, _, found, err := w.moved.Open(dir, "b.mp3"); !found || err == nil {
		t.Errorf("another content is opened: %v", f)
	}

	for _, name := range []string{"a.mp3", "z.mp3"} { // the disk of the folder is unplugged
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if w.look(time.Minute); w.saw.away == "" || w.state.Songs.Len() != 4 {
		t.Errorf("away is %q, the songs are %v", w.saw.away, w.state.Names())
	}
}

// Without any song in its own folder, a server plays what it has fetched.
func TestLook_OnlyFetched(t *testing.T) {
	one, two := song(t, "bach.mp3"), song(t, "pachelbel.mp3")
	radio, fetched := radioOf(t, map[string][]byte{"a.mp3": one, "b.mp3": two}), fetchedIn(t, 1<<30)
	if err := fetched.Take(t.Context(), find(t, radio, "a.mp3"), bytes.NewReader(one)); err != nil {
		t.Fatal(err)
	}
	w := newWatcher(t, t.TempDir())
	w.state, w.known, w.moved = radio, remembered(radio, false), NewElsewhere(stock.Of(radio.Songs.All(), nil, only(fetched)).Places, fetched)
	if w.look(0); w.saw.away != "" || !slices.Equal(w.state.Names(), []string{"a.mp3"}) {
		t.Errorf("away is %q, the songs are %v", w.saw.away, w.state.Names())
	}
}

// Without the file of a song that was converted, the mp3 that the other server has made is enough. Nothing is made anew, and if the mp3
// is damaged, the song is away until it comes again.
func TestLook_FetchedMP3(t *testing.T) {
	mp3 := song(t, "bach.mp3")
	sum := sha256.Sum256(mp3)
	other := &messages.Song{
		Name: "a.ogg", FileBytes: 5, ModifiedUnixUs: 1, Form: messages.Song_FORM_CONVERTED, Frames: 1510, SampleRate: 44100,
		MadeOf: strings.Repeat("0f", sha256.Size), MadeSum: hex.EncodeToString(sum[:]), AudioBytes: int64(len(mp3)) - 1000,
	}
	radio := library.State{}.Apply(&messages.SongAdded{Song: other})
	fetched := fetchedIn(t, 1<<30)
	if err := fetched.Take(t.Context(), find(t, radio, "a.ogg"), bytes.NewReader(mp3)); err != nil {
		t.Fatal(err)
	}
	w := newWatcher(t, t.TempDir())
	w.state, w.known, w.moved = radio, remembered(radio, false), NewElsewhere(stock.Of(radio.Songs.All(), nil, only(fetched)).Places, fetched)
	if w.look(0); w.saw.away != "" || len(w.reports) > 0 || !slices.Equal(w.state.Names(), []string{"a.ogg"}) {
		t.Errorf("away is %q, the songs are %v, it reports %v", w.saw.away, w.state.Names(), w.reports)
	}
	cfg := Config{Dir: w.dir, Converted: converter(t, t.TempDir()), Elsewhere: w.moved}
	if lost := cfg.lostSongs(radio); lost != nil {
		t.Errorf("it says %v", lost)
	}
	f, err := w.moved.Made(other.GetMadeSum())
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	mp3[len(mp3)/2] ^= 1
	if err := os.WriteFile(filepath.Join(fetched.dir, other.GetMadeSum()+fetchedEnding), mp3, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := w.moved.Made(other.GetMadeSum()); err == nil || fetched.Lost() != 1 || fetched.Has(find(t, radio, "a.ogg")) {
		t.Errorf("a damaged one is opened: %v", err)
	}
	if lost := cfg.lostSongs(radio); lost == nil {
		t.Error("the song is still said to be playable")
	}
}

// A file of other music under another name is converted where it lies.
func TestConvert_Elsewhere(t *testing.T) {
	dir := t.TempDir()
	tone(t, dir, "z.flac", 400)
	lies := stock.File{Name: "z.flac"}
	song := &library.Song{Name: "a.flac", Form: messages.Song_FORM_OTHER}
	cfg := Config{Dir: dir, Converted: converter(t, t.TempDir()), Elsewhere: NewElsewhere(map[string]stock.Place{"a.flac": {Song: song, File: lies}}, nil)}
	made, err := cfg.convert(t.Context(), song, true)
	if err != nil || made.GetReason() != "" || made.GetSong().GetForm() != messages.Song_FORM_CONVERTED {
		t.Errorf("it makes %v, %v", made, err)
	}
}

// Only the content that was asked for is kept, whatever comes, and nothing is left of anything else.
func TestFetched_Hostile(t *testing.T) {
	content := song(t, "bach.mp3")
	asked := find(t, radioOf(t, map[string][]byte{"a.mp3": content}), "a.mp3")
	f := fetchedIn(t, asked.FileBytes+1000)
	other := slices.Clone(content)
	other[len(other)/2] ^= 1
	named := func(sum string) *library.Song {
		return &library.Song{Name: "../../x.mp3", Sum: sum, FileBytes: asked.FileBytes}
	}
	for what, c := range map[string]struct {
		song *library.Song
		body io.Reader
		want error
	}{
		"another content": {asked, bytes.NewReader(other), ErrOtherContent},
		"cut off":         {asked, bytes.NewReader(content[:1000]), ErrOtherContent},
		"without an end":  {asked, io.MultiReader(bytes.NewReader(content), zeros{}), ErrOtherContent},
		"no sum":          {named(""), bytes.NewReader(content), ErrOtherContent},
		"a path":          {named("../" + asked.Sum[3:]), bytes.NewReader(content), ErrOtherContent},
		"a broken line":   {asked, iotest.ErrReader(io.ErrUnexpectedEOF), io.ErrUnexpectedEOF},
		"too large":       {&library.Song{Sum: asked.Sum, FileBytes: asked.FileBytes + 1001}, bytes.NewReader(content), ErrNoRoom},
	} {
		if err := f.Take(t.Context(), c.song, c.body); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", what, err)
		}
		if left, err := os.ReadDir(f.dir); err != nil || len(left) > 0 || f.Has(asked) {
			t.Errorf("%s leaves %v, %v", what, left, err)
		}
	}
	if err := f.Take(t.Context(), asked, bytes.NewReader(content)); err != nil || !f.Has(asked) {
		t.Error(err)
	}
	if _, err := f.Open("../fetched/" + asked.Sum); err == nil {
		t.Error("it opens a path")
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// What was fetched is there after a restart, what came in part is not. Songs that the radio no longer has make room, and only
// if there is none.
func TestFetched_Room(t *testing.T) {
	dir := t.TempDir()
	open := func() *Fetched {
		f, err := OpenFetched(dir, 10)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	f := open()
	var songs []*library.Song
	for i := range 4 {
		content := fmt.Sprintf("%04d", i)
		path := filepath.Join(t.TempDir(), "x")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		sum, err := SumOf(t.Context(), filepath.Dir(path), stock.File{Name: "x", Bytes: 4, ModifiedUs: info.ModTime().UnixMicro()})
		if err != nil {
			t.Fatal(err)
		}
		songs = append(songs, &library.Song{Sum: sum, FileBytes: 4})
	}
	take := func(i int, want error) {
		t.Helper()
		if err := f.Take(t.Context(), songs[i], strings.NewReader(fmt.Sprintf("%04d", i))); !errors.Is(err, want) {
			t.Fatalf("song %d: %v", i, err)
		}
	}
	needs := func(i int) func(string) bool { return func(sum string) bool { return sum == songs[i].Sum } }
	take(0, nil)
	f.Prune(4, needs(1))
	take(1, nil)
	if !f.Has(songs[0]) {
		t.Error("it was removed while there was room")
	}
	take(2, ErrNoRoom)
	f.Prune(4, needs(1))
	take(2, nil)
	if f.Has(songs[0]) || !f.Has(songs[1]) {
		t.Error("the wrong one was removed")
	}
	if err := os.WriteFile(filepath.Join(dir, coming+"x"), []byte("part"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f = open()
	defer f.Close()
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 || !f.Has(songs[1]) || !f.Has(songs[2]) {
		t.Errorf("after a restart there are %v, %v", left, err)
	}
}
