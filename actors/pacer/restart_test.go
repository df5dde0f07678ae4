package pacer

import (
	"bytes"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"conga/messages"
)

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
