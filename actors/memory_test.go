package actors

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"conga/actors/catalog"
	"conga/actors/catalog/library"
	"conga/actors/eventlog"
	"conga/actors/scheduler"
	"conga/actors/scheduler/queue"
	"conga/messages"
	"conga/messages/raced"
)

// What a song takes of a server's memory is bounded: for as long as it is known, when a snapshot is saved, and when one is
// read. In one piece, the JSON of all songs took more than the songs themselves.
func TestServer_BytesPerSong(t *testing.T) {
	songs := raced.Size(10_000, 2_000)
	store := eventlog.NewMemory()
	log, err := eventlog.Open(store, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	addMany(t, log, songs)
	var memory runtime.MemStats
	all := func() uint64 { runtime.ReadMemStats(&memory); return memory.TotalAlloc }
	live := func() uint64 { runtime.GC(); runtime.ReadMemStats(&memory); return memory.HeapAlloc }
	check := func(what string, before, after, most uint64) {
		t.Helper()
		each := int64(after-before) / int64(songs)
		t.Logf("%s: %d bytes a song", what, each)
		if each > int64(most) {
			t.Errorf("%s: %d bytes a song, more than %d", what, each, most)
		}
	}

	state, err := ServerStateAt(log, log.Last())
	if err != nil {
		t.Fatal(err)
	}
	before := all()
	if err := saveSnapshot(log, state, log.Last()); err != nil {
		t.Fatal(err)
	}
	check("saving", before, all(), 2500)

	before, lived := all(), live()
	queue := kept(t, log, scheduler.Actor, queue.State{})
	folder := kept(t, log, catalog.Actor, library.State{})
	check("reading", before, all(), 10_000)
	check("knowing", lived, live(), 1600)
	if queue.Songs.Len() != songs || folder.Songs.Len() != songs || text(t, queue) != text(t, state.Scheduler) || text(t, folder) != text(t, state.Catalog) {
		t.Error("what was saved is not what was read")
	}
}

// addMany writes songs with long names into the log.
func addMany(t *testing.T, log *eventlog.Log, songs int) {
	t.Helper()
	var events []proto.Message
	for i := range songs {
		name := fmt.Sprintf("Artist number %03d of the house/Album number %02d of many records/%05d a song with a long name.mp3", i/100, i/10%10, i)
		events = append(events, &messages.SongAdded{Song: &messages.Song{
			Name: name, Title: fmt.Sprint("a song with a long name, number ", i), Artist: fmt.Sprint("Artist number ", i/100),
			DurationUs: 180_000_000, SampleRate: 44100, Frames: 6891, AudioBytes: 2_880_000, FileBytes: 2_890_000, ModifiedUnixUs: 1_700_000_000_000_000 + int64(i),
		}})
	}
	if _, err := log.Append(0, catalog.Actor, nil, events...); err != nil {
		t.Fatal(err)
	}
}
