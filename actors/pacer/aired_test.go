package pacer

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"conga/actors/eventlog"
	"conga/messages"
	"conga/messages/chance"
	"conga/messages/raced"
)

// breakDown is stop without a word in the log.
func (s *studio) breakDown() {
	s.t.Helper()
	if err := s.log.Close(); err != nil {
		s.t.Error(err)
	}
	s.stop()
}

// record keeps what is given out for so long, by number.
func (s *studio) record(kept map[uint64]heard, lasts time.Duration) {
	s.t.Helper()
	for _, item := range s.read(0, lasts) {
		if was, is := kept[item.Number]; is && !bytes.Equal(was.Payload, item.Payload) {
			s.t.Fatalf("item %d is another than before", item.Number)
		}
		kept[item.Number] = item
	}
}

// again is what the log and the files give of a time, as items, and what of it is unsure, by number.
func (s *studio) again(from, to time.Time) (items []*messages.Item, unsure map[uint64]bool) {
	s.t.Helper()
	log, err := eventlog.Open(s.store, s.now)
	if err != nil {
		s.t.Fatal(err)
	}
	songs, err := AiredIn(log, from, to, s.now())
	if err != nil {
		s.t.Fatal(err)
	}
	unsure = map[uint64]bool{}
	for _, song := range songs {
		parts := song.Heard(from.UnixMicro(), to.UnixMicro())
		for item, err := range Again(song.Started, s.shelf.open) {
			if err != nil {
				s.t.Fatalf("%s: %v", song.Name, err)
			}
			in := func(f Frames) bool { return f.First <= item.FirstFrame && item.FirstFrame < f.End }
			if item.Change == nil && slices.ContainsFunc(parts, in) {
				items = append(items, item)
				unsure[item.Number] = slices.ContainsFunc(song.Unsure, in)
			}
		}
	}
	return items, unsure
}

// However often the server stops, for however long, and whatever is skipped: the log and the files give, byte for byte, what
// was given out of any time. Only where it broke down for longer than anybody could catch up, the log says that it is not sure.
func TestAired_IsWhatWasGivenOut(t *testing.T) {
	seed := chance.Seed(t)
	for _, breaks := range []bool{false, true} {
		t.Run(fmt.Sprint("breaks down ", breaks), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				random := rand.New(rand.NewPCG(seed, 0))
				s := newStudio(t, all...)
				began := s.now()
				kept := map[uint64]heard{}
				s.start()
				for range raced.Size(25, 10) {
					s.record(kept, time.Duration(random.Int64N(int64(time.Minute))))
					switch random.IntN(4) {
					case 0:
						if on, _ := s.look(); on.Song != nil {
							s.system.Root.Send(s.pacer, s.decide())
						}
					case 1, 2:
						if breaks {
							s.breakDown()
						} else {
							s.stop()
						}
						pauses := []time.Duration{200 * time.Millisecond, 5 * time.Second, 11 * time.Second, time.Minute, 5 * time.Minute}
						time.Sleep(pauses[random.IntN(len(pauses))])
						s.shelf.queue = append(s.shelf.queue, all[random.IntN(len(all))]) // it begins when it would have begun
						s.start()
					}
				}
				s.record(kept, 3*messages.Slack)
				s.stop()
				for range 5 { // any part of it, and all
					from := time.Duration(random.Int64N(int64(time.Since(began))))
					to := from + time.Duration(random.Int64N(int64(time.Since(began)-from)))
					s.compare(kept, began.Add(from), began.Add(to), breaks)
				}
				s.compare(kept, began, s.now().Add(time.Minute), breaks)
			})
		})
	}
}

func (s *studio) compare(kept map[uint64]heard, from, to time.Time, breaks bool) {
	s.t.Helper()
	got, unsure := s.again(from, to)
	var want []*messages.Item
	for _, number := range slices.Sorted(maps.Keys(kept)) {
		item := kept[number].Item
		if at := item.PlayAt(); item.Change == nil && at >= from.UnixMicro() && at < to.UnixMicro() {
			want = append(want, item)
		}
	}
	sent, doubts := 0, 0
	for _, item := range got {
		switch {
		case sent < len(want) && item.Number == want[sent].Number && bytes.Equal(item.Payload, want[sent].Payload):
			sent++
		case unsure[item.Number]:
			doubts++
		default:
			s.t.Fatalf("from %v to %v: item %d (%d in its song) was not given out, or otherwise; item %d is due", from, to, item.Number, item.FirstFrame, want[min(sent, len(want)-1)].Number)
		}
	}
	if sent < len(want) || doubts > 0 && !breaks {
		s.t.Fatalf("from %v to %v: %d of %d items, and %d that were not given out", from, to, sent, len(want), doubts)
	}
	s.t.Logf("from %v to %v: %d items, and %d of which the log is not sure", from, to, sent, doubts)
}

// Another file of the same name is noticed: of a song that has ended, by what was sent of it, so that a copy of the file does;
// of the song that is on, by the file's size and time.
func TestAgain_OtherFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, all...)
		s.start()
		s.read(0, 12*time.Second)
		s.system.Root.Send(s.pacer, s.decide())
		s.read(0, 5*time.Second)
		s.stop()
		log, err := eventlog.Open(s.store, s.now)
		if err != nil {
			t.Fatal(err)
		}
		songs, err := AiredIn(log, s.began, s.now().Add(time.Minute), s.now())
		if err != nil || len(songs) != 2 || songs[0].On || !songs[1].On {
			t.Fatalf("%v, %v", songs, err)
		}
		reason := func(song Aired) (last error) {
			for _, last = range Again(song.Started, s.shelf.open) {
			}
			return last
		}
		for _, song := range songs {
			if err := reason(song); err != nil {
				t.Errorf("%s: %v", song.Name, err)
			}
			s.shelf.change(song.Name, func(f tape) tape { f.song.ModifiedUnixUs++; return f })
		}
		if ended, on := reason(songs[0]), reason(songs[1]); ended != nil || !errors.Is(on, ErrOther) {
			t.Errorf("with another time: %v, %v", ended, on)
		}
		for what, change := range map[string]func([]byte){
			"a bit of music": func(data []byte) { data[len(data)/20] ^= 1 },
			"no music":       func(data []byte) { clear(data) },
		} {
			s.shelf.change(songs[0].Name, func(f tape) tape { f.data = bytes.Clone(theSongs()[songs[0].Name]); change(f.data); return f })
			if err := reason(songs[0]); err == nil {
				t.Errorf("%s: nothing was noticed", what)
			}
		}
		s.shelf.change(songs[0].Name, func(f tape) tape { f.data = theSongs()[songs[0].Name][:20_000]; return f })
		if err := reason(songs[0]); !errors.Is(err, ErrOther) {
			t.Errorf("a shorter file: %v", err)
		}
	})
}
