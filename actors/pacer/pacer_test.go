package pacer

import (
	"bytes"
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
	hours := raced.Size(10, 2)
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

// restart stops the server after `up`, keeps it down, and starts it again with an empty
// window. It returns what left before, and what can be read from the oldest item for a minute.
func restart(s *studio, up, down time.Duration) (before, after []heard) {
	s.t.Helper()
	s.start()
	before = s.read(1, up)
	s.stop()
	time.Sleep(down)
	s.start()
	after = s.read(1, time.Minute)
	return before, after
}

// After a restart the server gives out items again. These and all that follow have the numbers, bytes
// and times that a server without a restart would have given them.
func TestPacer_Restart(t *testing.T) {
	for _, c := range []struct {
		name     string
		up, down time.Duration
	}{
		{"in mid-song", 20 * time.Second, time.Second},
		{"for ten seconds", 15 * time.Second, 10 * time.Second},
		{"just after a song change", 40 * time.Second, time.Second},
		{"just before a song change", 37 * time.Second, 200 * time.Millisecond},
		{"over a song change", 36 * time.Second, 6 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			control := map[uint64]heard{}
			var epoch time.Time
			synctest.Test(t, func(t *testing.T) {
				s := newStudio(t, all...)
				epoch = s.now()
				s.start()
				defer s.stop()
				for _, i := range s.read(1, 2*time.Minute) {
					control[i.Number] = i
				}
			})
			synctest.Test(t, func(t *testing.T) {
				s := newStudio(t, all...)
				began := s.now()
				before, after := restart(s, c.up, c.down)
				defer s.stop()
				for _, i := range slices.Concat(before, after) {
					want, ok := control[i.Number]
					if !ok || !bytes.Equal(i.Payload, want.Payload) || i.PlayAt()-began.UnixMicro() != want.PlayAt()-epoch.UnixMicro() {
						t.Fatalf("item %d is another than without the restart", i.Number)
					}
				}
				last := before[len(before)-1]
				if after[0].Number > last.Number+1 {
					t.Errorf("items %d to %d are lost", last.Number+1, after[0].Number-1)
				}
				onTime(t, after, s.began)
				if first, second := before[0].Seal.GetEpoch(), after[0].Seal.GetEpoch(); second <= first {
					t.Errorf("epoch %d after %d", second, first)
				}
			})
		})
	}
}

// songsIn lists the songs that began, with their times.
func songsIn(s *studio) (names []string, playAt []int64) {
	for _, event := range s.events() {
		if e, ok := event.(*messages.SongStarted); ok {
			names, playAt = append(names, e.GetSong().GetName()), append(playAt, e.GetPlayAtUnixUs())
		}
	}
	return names, playAt
}

// A radio does not wait: requested songs whose time passed while the server was down are
// over, and the song that would be on now is on, at its place.
func TestPacer_Restart_RequestsWhileDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, all...)
		s.shelf.queue = []string{"pachelbel.mp3", "beethoven.mp3", "bach.mp3"}
		_, after := restart(s, 20*time.Second, time.Minute)
		defer s.stop()
		onTime(t, after, s.began)
		gapless(t, after)
		names, playAt := songsIn(s)
		if !slices.Equal(names[:3], []string{"pachelbel.mp3", "beethoven.mp3", "bach.mp3"}) {
			t.Fatalf("began %v", names)
		}
		end := playAt[0]
		for n, name := range names[:3] {
			if playAt[n] != end {
				t.Errorf("%s began %d us after the song before", name, playAt[n]-end)
			}
			song := s.shelf.tapes[name].song
			end = playAt[n] + messages.FrameOffset(song.GetFrames(), song.GetSampleRate()).Microseconds()
		}
	})
}

// Nobody waits for random songs, so after an hour the server does not make up for them.
func TestPacer_Restart_ChanceIsNotMadeUpFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, all...)
		before, after := restart(s, 20*time.Second, time.Hour)
		defer s.stop()
		if names, _ := songsIn(s); len(names) > 4 {
			t.Errorf("began %v", names)
		}
		if got, want := after[0].PlayAt(), s.began.Add(headStart).UnixMicro(); got != want || after[0].Change == nil {
			t.Errorf("heard at %d, want %d", got, want)
		}
		if after[0].Number <= before[len(before)-1].Number {
			t.Error("numbers went back")
		}
		gapless(t, after)
	})
}

// A server whose songs all failed before it restarted has never been on the air. A
// request must not count as one whose time has passed (it would be due in 1970).
func TestPacer_Restart_NeverOnTheAir(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, "bach.mp3")
		s.shelf.turn = []string{"gone.mp3"}
		s.start()
		time.Sleep(time.Second)
		s.stop()
		s.shelf.queue = []string{"bach.mp3"}
		s.start()
		defer s.stop()
		items := s.read(1, 10*time.Second)
		if len(items) == 0 || items[0].Song.GetSong() != "bach.mp3" {
			t.Fatal("the request was not played")
		}
		gapless(t, items)
	})
}

// If the clock is set back while the server is off, music begins at once, wherever the
// server was, also after one more restart.
func TestPacer_Restart_ClockSetBack(t *testing.T) {
	for name, up := range map[string]time.Duration{
		"in the first song": 20 * time.Second, "in the second song": 50 * time.Second,
		"at a song change": 37*time.Second + 700*time.Millisecond,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStudio(t, all...)
				s.shelf.queue = []string{"bach.mp3", "beethoven.mp3", "pachelbel.mp3", "bach.mp3"}
				s.start()
				before := s.read(1, up)
				for range 2 {
					s.stop()
					s.offset -= time.Hour
					began := s.now()
					s.start()
					after := s.read(1, 5*time.Second)
					if len(after) == 0 {
						t.Fatal("silence")
					}
					if wait := after[0].PlayAt() - began.UnixMicro(); wait < 0 || wait > time.Second.Microseconds() {
						t.Errorf("heard after %d us", wait)
					}
					if after[0].Number <= before[len(before)-1].Number {
						t.Error("numbers went back")
					}
					before = after
				}
				s.stop()
			})
		})
	}
}

// While the server is off somebody replaces the song that was on, so it cannot go on. The next song does not
// overlap what listeners have of it, and no number has two meanings.
func TestPacer_Restart_FileChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, all...)
		s.start()
		before := s.read(1, 20*time.Second)
		s.stop()
		s.shelf.change("bach.mp3", func(f tape) tape { f.song.ModifiedUnixUs++; return f })
		time.Sleep(time.Second)
		s.start()
		defer s.stop()
		now := s.now().UnixMicro()
		after := s.read(1, 10*time.Second)
		last := before[len(before)-1]
		if after[0].Number <= last.Number || after[0].PlayAt() <= last.PlayAt() || after[0].Song.GetSong() != "beethoven.mp3" {
			t.Errorf("item %d at %d of %s follows item %d at %d", after[0].Number, after[0].PlayAt(), after[0].Song.GetSong(), last.Number, last.PlayAt())
		}
		if wait := after[0].PlayAt() - now; wait < 0 || wait > (messages.Slack+200*time.Millisecond).Microseconds() {
			t.Errorf("heard after %d us", wait)
		}
		gapless(t, after)
		// The old file comes back, but the part that was never given out is not made up for.
		s.shelf.change("bach.mp3", func(f tape) tape { f.song.ModifiedUnixUs--; return f })
		s.crash()
		next := after[len(after)-1].Number + 1
		more := s.read(next, 5*time.Second)
		if len(more) < 40 || more[0].Number != next {
			t.Errorf("%d items after the break", len(more))
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
