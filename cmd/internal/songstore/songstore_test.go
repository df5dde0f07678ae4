package songstore

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"conga/actors/catalog"
	"conga/actors/catalog/library"
	"conga/actors/catalog/stock"
	"conga/actors/eventlog/jetstream"
	"conga/messages"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shelf is a store in memory; the one of NATS is tried in jetstream.TestSongs and TestE2E_SharedSongs.
type shelf struct {
	mu      sync.Mutex
	objects map[string][]byte
	changes uint64
	lists   int
	err     error            // of the next calls
	broken  map[string]error // of an object, when it is read
	room    int              // bytes; 0: enough
	gets    int
}

func (s *shelf) do(do func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	return do()
}

func (s *shelf) Make(context.Context) error { return s.do(func() error { return nil }) }

func (s *shelf) Mark(context.Context) (at jetstream.Mark, err error) {
	return at, s.do(func() error { at = jetstream.Mark{Last: s.changes, Made: 1}; return nil })
}

func (s *shelf) List(context.Context) (all []jetstream.Song, err error) {
	return all, s.do(func() error {
		s.lists++
		for _, sum := range slices.Sorted(maps.Keys(s.objects)) {
			all = append(all, jetstream.Song{Sum: sum, Bytes: int64(len(s.objects[sum]))})
		}
		return nil
	})
}

func (s *shelf) Put(_ context.Context, sum string, body io.Reader) error {
	content, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	return s.do(func() error {
		used := len(content)
		for _, o := range s.objects {
			used += len(o)
		}
		if s.room > 0 && used > s.room {
			return jetstream.ErrSongsFull
		}
		s.objects[sum], s.changes = content, s.changes+1
		return nil
	})
}

func (s *shelf) Get(_ context.Context, sum string) (body io.ReadCloser, err error) {
	return body, s.do(func() error {
		s.gets++
		if err := s.broken[sum]; err != nil {
			return err
		}
		content, is := s.objects[sum]
		if !is {
			return jetstream.ErrNoSong
		}
		body = io.NopCloser(bytes.NewReader(content))
		return nil
	})
}

func (s *shelf) Remove(_ context.Context, sum string) error {
	return s.do(func() error { delete(s.objects, sum); s.changes++; return nil })
}

func (s *shelf) breaks(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *shelf) has(sum string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, is := s.objects[sum]
	return is
}

// said keeps what is logged.
type said struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) count(text string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Count(s.text.String(), text)
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// radioOf is a radio with the files of the folder as its songs.
func radioOf(t *testing.T, dir string) (radio Radio) {
	t.Helper()
	files, err := catalog.Files(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		sum, err := catalog.SumOf(t.Context(), dir, f)
		if err != nil {
			t.Fatal(err)
		}
		content, err := hex.DecodeString(sum)
		if err != nil {
			t.Fatal(err)
		}
		radio.Library = radio.Library.Apply(&messages.SongAdded{Song: &messages.Song{
			Name: f.Name, FileBytes: f.Bytes, ModifiedUnixUs: f.ModifiedUs, Sum: content, SampleRate: 44100, Frames: 1,
		}})
	}
	return radio
}

func find(t *testing.T, radio Radio, name string) *library.Song {
	t.Helper()
	song, is := radio.Library.Songs.Find(name)
	if !is {
		t.Fatalf("there is no %s", name)
	}
	return song
}

func sumIn(radio Radio, name string) string {
	return hex.EncodeToString(radio.Library.Find(name).GetSum())
}

// A server that stands by finds a song under another name, fetches what it lacks when the leader has shared it, says what is missing
// once, and does not take what is not what its sum says. After a restart it need not read the files again.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		leads, own, data := t.TempDir(), t.TempDir(), t.TempDir()
		write(t, leads, "a.mp3", "aaaa")
		write(t, leads, "b.mp3", "bbbbb")
		write(t, leads, "c.mp3", "cccccc")
		write(t, own, "x.mp3", "aaaa")
		write(t, own, "c.mp3", "CCCCCC")
		before := time.Unix(1_000_000_000, 0)
		if err := os.Chtimes(filepath.Join(leads, "c.mp3"), before, before); err != nil {
			t.Fatal(err)
		}
		radio := radioOf(t, leads)
		fetched, err := catalog.OpenFetched(filepath.Join(data, "fetched"), 100)
		if err != nil {
			t.Fatal(err)
		}
		defer fetched.Close()
		store, log := &shelf{objects: map[string][]byte{}, err: jetstream.ErrNoSongs}, &said{}
		cfg := HoldConfig{Songs: own, Data: data, Fetched: fetched, Store: store, Logger: slog.New(slog.NewTextHandler(log, nil))}
		ctx, cancel := context.WithCancel(t.Context())
		h, ended := Hold(ctx, cfg)
		h.Follow(radio)
		lacks := func(n int, text string) {
			t.Helper()
			time.Sleep(3 * compareEvery)
			synctest.Wait()
			if live, known := h.Live(); !known || live.Lacks != n || live.Songs != 3 || live.Says() != text {
				t.Fatalf("%+v, %q; it said %s", live, live.Says(), log.text.String())
			}
		}
		lacks(2, "lacks 2 of the radio's 3 songs and cannot fetch them now")
		if log.count(jetstream.ErrNoSongs.Error()) != 1 || log.count("songs=\"b.mp3, c.mp3\"") != 1 || log.count("differ=1 songs=c.mp3") != 1 {
			t.Errorf("it said %s", log.text.String())
		}
		store.breaks(nil)
		if err := store.Put(ctx, sumIn(radio, "b.mp3"), strings.NewReader("bbbbb")); err != nil {
			t.Fatal(err)
		}
		if err := store.Put(ctx, sumIn(radio, "c.mp3"), strings.NewReader("cccccX")); err != nil { // somebody has altered it there
			t.Fatal(err)
		}
		lacks(1, "lacks 1 of the radio's 3 songs and waits for the leader to share them")
		if store.has(sumIn(radio, "c.mp3")) {
			t.Error("the wrong content is still there")
		}
		if err := store.Put(ctx, sumIn(radio, "c.mp3"), strings.NewReader("cccccc")); err != nil {
			t.Fatal(err)
		}
		lacks(0, "has all of the radio's songs (3)")
		if log.count("this server has all songs of the radio") != 1 || log.count("lacks songs") != 1 {
			t.Errorf("it said %s", log.text.String())
		}
		lists := store.lists
		lacks(0, "has all of the radio's songs (3)")
		if store.lists != lists {
			t.Error("it lists the store though nothing is missing")
		}
		e := h.Lead(ctx, time.Second)
		for name, want := range map[string]string{"a.mp3": "aaaa", "b.mp3": "bbbbb", "c.mp3": "cccccc"} {
			f, _, found, err := e.Open(own, name)
			if err != nil || !found {
				t.Fatalf("open %s: %v, %v", name, found, err)
			}
			if got, err := io.ReadAll(f); err != nil || string(got) != want {
				t.Errorf("%s is %q, %v", name, got, err)
			}
			_ = f.Close()
		}
		cancel()
		<-ended

		again := openSums(data)
		files, err := catalog.Files(t.Context(), own)
		if err != nil || len(files) != 2 {
			t.Fatal(files, err)
		}
		for _, f := range files {
			if again.of(f).Sum == "" {
				t.Errorf("the sum of %s is not kept", f.Name)
			}
			f.ModifiedUs++
			if again.of(f).Sum != "" {
				t.Errorf("another file %s has its sum", f.Name)
			}
		}
	})
}

// Sums that a crash has damaged are read from the files again.
func TestSums_Damaged(t *testing.T) {
	data := t.TempDir()
	write(t, data, sumsFile, `[{"Name":"a.mp3","By`)
	s := openSums(data)
	f := stock.File{Name: "a.mp3", Bytes: 4, ModifiedUs: 1, Sum: "5e"}
	if len(s.files) != 0 {
		t.Errorf("it has %v", s.files)
	}
	s.add(f)
	if err := s.keep(true); err != nil {
		t.Fatal(err)
	}
	f.Sum = ""
	if got := openSums(data).of(f).Sum; got != "5e" {
		t.Errorf("it is %q", got)
	}
}

// A leader shares its songs, what comes next first, not faster than it may; a song whose file is another one now is not shared, and
// tried again when the catalog has seen that.
func TestShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		for name, size := range map[string]int{"a.mp3": 300_000, "b.mp3": 400_000, "c.mp3": 4} {
			write(t, dir, name, strings.Repeat(name[:1], size))
		}
		radio := radioOf(t, dir)
		write(t, dir, "c.mp3", "zzzz")
		var mu sync.Mutex
		store, log := &shelf{objects: map[string][]byte{}, err: errors.New("NATS is away")}, &said{}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			Share(ctx, ShareConfig{
				Store: store, Most: 1 << 20, Rate: 100_000,
				Library: func(context.Context) (library.State, error) { mu.Lock(); defer mu.Unlock(); return radio.Library, nil },
				First:   func() []string { return []string{"b.mp3"} },
				Open:    func(song *library.Song) (io.ReadCloser, error) { return catalog.Open(dir, song.Name) },
				Logger:  slog.New(slog.NewTextHandler(log, nil)),
			})
		}()
		shared := func(after time.Duration, names ...string) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			for _, name := range []string{"a.mp3", "b.mp3", "c.mp3"} {
				if is := store.has(sumIn(radio, name)); is != slices.Contains(names, name) {
					t.Fatalf("after %v: %s is shared: %v; it said %s", after, name, is, log.text.String())
				}
			}
		}
		shared(65 * time.Second)
		if log.count("NATS is away") != 1 {
			t.Errorf("it said %s", log.text.String())
		}
		store.breaks(nil)
		shared(9*time.Second, "b.mp3") // it looks at 70 s, and needs 2.7 s for that, of which 131,072 bytes go at once
		shared(4*time.Second, "a.mp3", "b.mp3")
		mu.Lock()
		radio = radioOf(t, dir)
		mu.Unlock()
		shared(5*time.Second, "a.mp3", "b.mp3", "c.mp3")
		lists := store.lists
		shared(time.Hour, "a.mp3", "b.mp3", "c.mp3")
		if store.lists != lists {
			t.Errorf("it lists a store that does not change %d times an hour", store.lists-lists)
		}
		if err := store.Remove(ctx, sumIn(radio, "c.mp3")); err != nil { // somebody has, or a server that found it damaged
			t.Fatal(err)
		}
		shared(5*time.Second, "a.mp3", "b.mp3", "c.mp3")
		cancel()
		<-done
	})
}

// sharing shares the songs of a folder until the test ends. The log needs 64 bytes.
func sharing(t *testing.T, dir string, radio Radio, store Store, log io.Writer) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	s := newSharer(ShareConfig{
		Store: store, Most: 1 << 40, Rate: 1 << 40,
		Library: func(context.Context) (library.State, error) { return radio.Library, nil },
		First:   func() []string { return nil },
		Open:    func(song *library.Song) (io.ReadCloser, error) { return catalog.Open(dir, song.Name) },
		Logger:  slog.New(slog.NewTextHandler(log, nil)),
	})
	s.forLog = 64
	go func() {
		defer close(done)
		s.run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

// If the store is full, a leader says what to do, once, gives some of the room back to the log, and puts nothing more for a while.
func TestShare_Full(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		for i := range 5 {
			write(t, dir, fmt.Sprint(i, ".mp3"), strings.Repeat(fmt.Sprint(i), 30))
		}
		store, log := &shelf{objects: map[string][]byte{}, room: 130}, &said{}
		sharing(t, dir, radioOf(t, dir), store, log)
		has := func(after time.Duration, want int) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			store.mu.Lock()
			defer store.mu.Unlock()
			if len(store.objects) != want {
				t.Fatalf("%d songs are there, want %d; it said %s", len(store.objects), want, log.text.String())
			}
		}
		has(10*time.Minute, 1) // of the four that had room
		if log.count("NATS is full") != 1 || log.count("level=WARN") != 1 {
			t.Errorf("it said %s", log.text.String())
		}
		store.mu.Lock()
		store.room = 0 // somebody gives it more
		store.mu.Unlock()
		has(2*time.Hour, 5)
	})
}

// Songs that cannot be fetched, whatever is wrong with them, do not keep others from coming, and are tried again less and less
// often; one line says it, and the status.
func TestHold_BadSongs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		leads, data := t.TempDir(), t.TempDir()
		store, log := &shelf{objects: map[string][]byte{}, broken: map[string]error{}}, &said{}
		for _, name := range []string{"a.mp3", "b.mp3", "c.mp3", "d.mp3"} {
			write(t, leads, name, name)
		}
		radio := radioOf(t, leads)
		for song := range radio.Library.Songs.All() {
			store.objects[song.Sum] = []byte(song.Name)
		}
		store.broken[sumIn(radio, "a.mp3")] = jetstream.ErrSilent
		store.broken[sumIn(radio, "b.mp3")] = jetstream.ErrSilent
		fetched, err := catalog.OpenFetched(filepath.Join(data, "fetched"), 100)
		if err != nil {
			t.Fatal(err)
		}
		defer fetched.Close()
		ctx, cancel := context.WithCancel(t.Context())
		h, ended := Hold(ctx, HoldConfig{Songs: t.TempDir(), Fetched: fetched, Store: store, Logger: slog.New(slog.NewTextHandler(log, nil))})
		h.Follow(radio)
		wait := func(lasts time.Duration, lacks int) Live {
			t.Helper()
			time.Sleep(lasts)
			synctest.Wait()
			live, _ := h.Live()
			if live.Lacks != lacks {
				t.Fatalf("%+v; it said %s", live, log.text.String())
			}
			return live
		}
		wait(20*time.Second, 2)
		if live := wait(time.Hour, 2); live.Does != "cannot fetch them now" || live.Reason != jetstream.ErrSilent.Error() {
			t.Errorf("it says %+v", live)
		}
		if log.count("cannot be fetched now") != 1 {
			t.Errorf("it said %s", log.text.String())
		}
		if store.gets > 2*(10+6)+2 {
			t.Errorf("it has tried %d times in an hour", store.gets)
		}
		store.mu.Lock()
		store.broken = nil
		store.mu.Unlock()
		if live := wait(11*time.Minute, 0); live.Reason != "" {
			t.Errorf("it says %+v", live)
		}
		cancel()
		<-ended
	})
}

// converted is a radio whose song x.ogg, with this content, was converted to an mp3 with that one.
func converted(t *testing.T, of, mp3 string) Radio {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "of.mp3", of)
	write(t, dir, "mp3.mp3", mp3)
	sums := radioOf(t, dir)
	song := &messages.Song{
		Name: "x.ogg", FileBytes: int64(len(of)), ModifiedUnixUs: 1, Form: messages.Song_FORM_CONVERTED, Frames: 1, SampleRate: 44100,
		MadeOf: sumIn(sums, "of.mp3"), MadeSum: sumIn(sums, "mp3.mp3"), AudioBytes: int64(len(mp3)) - 2,
	}
	return Radio{Library: library.State{}.Apply(&messages.SongAdded{Song: song})}
}

// Of other music the mp3 is shared that the leader has made. A server that stands by needs no file of the song, and has to make
// nothing.
func TestConverted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		radio := converted(t, "an ogg", "an mp3")
		song := find(t, radio, "x.ogg")
		leads, own, data := t.TempDir(), t.TempDir(), t.TempDir()
		write(t, leads, "x.ogg", "an mp3") // it is opened as the mp3
		store, log := &shelf{objects: map[string][]byte{}}, &said{}
		sharing(t, leads, radio, store, log)
		fetched, err := catalog.OpenFetched(filepath.Join(data, "fetched"), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		defer fetched.Close()
		ctx, cancel := context.WithCancel(t.Context())
		h, ended := Hold(ctx, HoldConfig{Songs: own, Fetched: fetched, Store: store, Logger: slog.New(slog.NewTextHandler(log, nil))})
		h.Follow(radio)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if live, known := h.Live(); !known || live.Lacks != 0 || !store.has(song.MadeSum) {
			t.Fatalf("%+v; it said %s", live, log.text.String())
		}
		f, err := h.Lead(ctx, time.Second).Made(song.MadeSum)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(f); err != nil || string(got) != "an mp3" {
			t.Errorf("it plays %q, %v", got, err)
		}
		_ = f.Close()
		cancel()
		<-ended
	})
}

// Without a store, a server that stands by says that a copy of the file is not enough. With the very mp3 it is.
func TestConverted_NotShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		radio := converted(t, "an ogg", "an mp3")
		song := find(t, radio, "x.ogg")
		own, made := t.TempDir(), t.TempDir()
		write(t, own, "y.ogg", "an ogg")
		log := &said{}
		ctx, cancel := context.WithCancel(t.Context())
		h, ended := Hold(ctx, HoldConfig{Songs: own, Converted: made, Logger: slog.New(slog.NewTextHandler(log, nil))})
		h.Follow(radio)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if live, _ := h.Live(); live.Unmade != 1 || live.Says() != "lacks 1 of the radio's 1 songs and fetches none" || log.count("does not have the mp3 files") != 1 {
			t.Fatalf("%+v; it said %s", live, log.text.String())
		}
		write(t, made, song.MadeOf+"-"+song.MadeSum+".mp3", "an mp3")
		time.Sleep(2 * walkEvery)
		synctest.Wait()
		if live, _ := h.Live(); live.Lacks != 0 {
			t.Fatalf("%+v; it said %s", live, log.text.String())
		}
		cancel()
		<-ended
	})
}

// A file that was fetched and is damaged is not played, and fetched again.
func TestHold_Rot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		leads, data := t.TempDir(), t.TempDir()
		write(t, leads, "a.mp3", "aaaa")
		radio := radioOf(t, leads)
		sum := sumIn(radio, "a.mp3")
		store, log := &shelf{objects: map[string][]byte{sum: []byte("aaaa")}}, &said{}
		fetched, err := catalog.OpenFetched(data, 100)
		if err != nil {
			t.Fatal(err)
		}
		defer fetched.Close()
		ctx, cancel := context.WithCancel(t.Context())
		h, ended := Hold(ctx, HoldConfig{Songs: t.TempDir(), Fetched: fetched, Store: store, Logger: slog.New(slog.NewTextHandler(log, nil))})
		h.Follow(radio)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		e := h.Lead(ctx, time.Second)
		write(t, data, sum+".mp3", "aaXa")
		if _, _, found, err := e.Open("", "a.mp3"); !found || err == nil {
			t.Errorf("it is opened: %v, %v", found, err)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		f, _, found, err := e.Open("", "a.mp3")
		if !found || err != nil {
			t.Fatalf("it is not fetched again: %v, %v", found, err)
		}
		_ = f.Close()
		cancel()
		<-ended
	})
}
