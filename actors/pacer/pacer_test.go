package pacer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"conga/messages"
	"conga/messages/raced"
)

var all = []string{"bach.mp3", "beethoven.mp3", "pachelbel.mp3"}

func contextFor(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}

// In ten hours of three songs every item leaves when it is due, there is no gap in the
// numbers or the music, and each song's frames are those of its file.
func TestPacer_TenHours(t *testing.T) {
	hours := raced.Size(10, 1)
	if testing.Short() {
		hours = 1
	}
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, all...)
		began := s.now()
		s.start()
		defer s.stop()
		var last []heard
		var next, first uint64
		came := map[uint64]string{} // sums by the number of a song's first chunk
		hash := sha256.New()
		for range hours * 60 {
			items := s.read(next, time.Minute)
			onTime(t, items, began)
			gapless(t, append(last, items...))
			for _, i := range items {
				if i.Change == nil {
					hash.Write(i.Frames)
					continue
				}
				if first > 0 {
					came[first] = hex.EncodeToString(hash.Sum(nil))
				}
				first = i.Number + 1
				hash.Reset()
			}
			last = items[len(items)-1:]
			next = last[0].Number + 1
		}
		start := s.events()[1].(*messages.SongStarted).GetPlayAtUnixUs()
		if got, want := last[0].PlayAt()-start, (time.Duration(hours)*time.Hour + messages.Slack - headStart).Microseconds(); got > want || want-got > 110_000 {
			t.Errorf("at the end %d us are given out, want %d", got, want)
		}
		_, live := s.look()
		if len(live.Songs) != messages.MaxSongSums {
			t.Errorf("%d songs are remembered", len(live.Songs))
		}
		for _, song := range live.Songs {
			data, _ := frames(t, theSongs()[song.Song])
			if song.SHA256 != sum(data) || came[song.First] != sum(data) && song.First != first {
				t.Errorf("%s from %d: the file is %s, the server says %s, %s came", song.Song, song.First, sum(data), song.SHA256, came[song.First])
			}
		}
	})
}

// The broadcast goes on without listeners. A listener that comes later finds the last seconds.
func TestPacer_NobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, all...)
		began := s.now()
		s.start()
		defer s.stop()
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		items := s.read(1, time.Second)
		kept := time.Duration(items[len(items)-1].PlayAt()-items[0].PlayAt()) * time.Microsecond
		if kept < messages.Window || kept > messages.Window+2*time.Second {
			t.Errorf("the window has %v", kept)
		}
		if ahead := time.UnixMicro(items[len(items)-1].PlayAt()).Sub(began.Add(5*time.Minute + time.Second)); ahead > messages.Slack || ahead < messages.Slack-110*time.Millisecond {
			t.Errorf("the newest is heard in %v", ahead)
		}
		gapless(t, items)
	})
}

// The pacer asks an empty catalog only now and then. A song that comes is heard.
func TestPacer_EmptyThenASong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t)
		s.start()
		defer s.stop()
		time.Sleep(time.Minute)
		synctest.Wait()
		if s.shelf.asked < 100 || s.shelf.asked > 130 {
			t.Errorf("asked %d times in a minute", s.shelf.asked)
		}
		if n := len(s.events()); n != 1 {
			t.Errorf("%d events", n)
		}
		s.shelf.put(t, "bach.mp3", theSongs()["bach.mp3"])
		s.shelf.mu.Lock()
		s.shelf.turn = []string{"bach.mp3"}
		s.shelf.mu.Unlock()
		now := s.now().UnixMicro()
		items := s.read(0, 10*time.Second)
		if len(items) == 0 || items[0].Number != 1 || items[0].Change == nil {
			t.Fatal("nothing came")
		}
		if wait := items[0].PlayAt() - now; wait < 0 || wait > time.Second.Microseconds() {
			t.Errorf("heard after %d us", wait)
		}
		gapless(t, items)
	})
}

// A file that is shorter than the catalog says is played as far as it goes, and does not count as heard whole. How
// much was played decides whether its request is used up.
func TestPacer_ShorterThanItWas(t *testing.T) {
	for left, want := range map[float64]messages.Heard{
		0.2: messages.Heard_HEARD_LITTLE, 0.8: messages.Heard_HEARD_MOST, 1: messages.Heard_HEARD_WHOLE,
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newStudio(t, all...)
			s.shelf.change("bach.mp3", func(f tape) tape {
				f.data = f.data[:int(left*float64(len(f.data)))]
				f.song.FileBytes = int64(len(f.data)) // the same file, shortened after it was opened
				return f
			})
			s.shelf.turn = []string{"bach.mp3"}
			s.start()
			defer s.stop()
			time.Sleep(45 * time.Second)
			synctest.Wait()
			for _, event := range s.events() {
				if end, is := event.(*messages.SongEnded); is {
					if end.GetHeard() != want || (end.GetReason() == "") != (want == messages.Heard_HEARD_WHOLE) {
						t.Errorf("with %v of the file left: %v", left, end)
					}
					return
				}
			}
			t.Error("it does not end")
		})
	}
}

// The whole parts of broken files are played, the good files follow without a gap, and
// the pacer does not try without a pause.
func TestPacer_BrokenAmongGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, all...)
		s.shelf.change("beethoven.mp3", func(f tape) tape { f.tearAt = 100_000; return f })
		s.shelf.turn = []string{"bach.mp3", "beethoven.mp3", "gone.mp3", "pachelbel.mp3"}
		s.start()
		defer s.stop()
		items := s.read(0, 5*time.Minute)
		for n, i := range items[1:] {
			if wait := i.PlayAt() - items[n].PlayAt(); wait < 0 || wait > 110_000 {
				t.Errorf("item %d is heard %d us after the one before", i.Number, wait)
			}
		}
		var broken, gone int
		for _, event := range s.events() {
			if end, ok := event.(*messages.SongEnded); ok && end.GetReason() != "" {
				if end.GetSong() == "gone.mp3" {
					gone++
				} else {
					broken++
				}
			}
		}
		if broken < 3 || gone < 3 || len(s.events()) > 60 {
			t.Errorf("%d broken, %d gone, %d events", broken, gone, len(s.events()))
		}
	})
}

// A folder of broken files costs only a few events a second.
func TestPacer_AllBroken(t *testing.T) {
	for name, spoil := range map[string]func(tape) tape{
		"no frame can be read": func(f tape) tape { f.tearAt = 1; return f },
		"another file":         func(f tape) tape { f.data = append(slices.Clone(f.data), 0); return f },
		"gone":                 func(tape) tape { return tape{} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStudio(t, "bach.mp3", "pachelbel.mp3")
				for _, name := range []string{"bach.mp3", "pachelbel.mp3"} {
					s.shelf.change(name, spoil)
				}
				s.start()
				defer s.stop()
				time.Sleep(time.Minute)
				synctest.Wait()
				if n := len(s.events()); n < 100 || n > 260 {
					t.Errorf("%d events in a minute", n)
				}
			})
		})
	}
}

// The pacer panics in mid-song, again and again, and no reader notices.
func TestPacer_Panic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, all...)
		began := s.now()
		s.start()
		defer s.stop()
		var items []heard
		next := uint64(1)
		for range 9 {
			items = append(items, s.read(next, 11*time.Second)...)
			next = items[len(items)-1].Number + 1
			s.crash()
		}
		onTime(t, items, began)
		gapless(t, items)
		if len(items) < 900 {
			t.Errorf("%d items in 99 s", len(items))
		}
	})
}

// Once another server leads, nothing more is given out or decided, not even what is due.
func TestPacer_Leads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, all...)
		s.start()
		defer s.stop()
		s.read(1, 20*time.Second)
		s.follow.Store(true)
		next, events := s.window.Next(), s.log.Last()
		time.Sleep(time.Minute)
		if s.window.Next() != next || s.log.Last() != events {
			t.Errorf("items %d to %d and events %d to %d", next, s.window.Next()-1, events+1, s.log.Last())
		}
	})
}
