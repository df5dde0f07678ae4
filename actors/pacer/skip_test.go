package pacer

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"conga/messages"
)

// decide logs, as the scheduler does, that the song that is on is skipped.
func (s *studio) decide() *messages.SkipDecided {
	s.t.Helper()
	on, _ := s.look()
	decided := &messages.SkipDecided{Song: on.Song.Name, Number: on.Song.Number, Votes: 2}
	if _, err := s.log.Append(s.log.Last(), "scheduler", &messages.SkipSong{}, decided); err != nil {
		s.t.Fatal(err)
	}
	return decided
}

// sealSpan is how long the items of the longest seal last.
const sealSpan = messages.SealItems * messages.MaxChunkDuration

// ended lists the events that end songs.
func (s *studio) ended() (all []*messages.SongEnded) {
	for _, event := range s.events() {
		if e, is := event.(*messages.SongEnded); is {
			all = append(all, e)
		}
	}
	return all
}

// A skipped song ends with its last sealed item, so the next song is heard after the slack and one seal at most. No
// number is missing or given twice, nobody hears a gap, and the numbers in the log are those that were given out.
func TestPacer_Skip(t *testing.T) {
	for _, at := range []time.Duration{100 * time.Millisecond, 3 * time.Second, 9*time.Second + 730*time.Millisecond, 30 * time.Second} {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStudio(t, all...)
				s.start()
				defer s.stop()
				before := s.read(1, at)
				skipped := s.now()
				s.system.Root.Send(s.pacer, s.decide())
				after := s.read(before[len(before)-1].Number+1, 20*time.Second)
				items := slices.Concat(before, after)
				onTime(t, items, s.began)
				gapless(t, items)
				next := slices.IndexFunc(after, func(i heard) bool { return i.Change != nil })
				if next < 0 {
					t.Fatal("no other song has begun")
				}
				change := after[next]
				if wait := time.UnixMicro(change.PlayAt()).Sub(skipped); wait > messages.Slack+sealSpan+headStart {
					t.Errorf("the next song is heard %v after the skip", wait)
				}
				end := s.ended()[0]
				if end.GetHeard() != messages.Heard_HEARD_ENOUGH || end.GetNext() != change.Number || end.GetNextPlayAtUnixUs() != change.PlayAt() {
					t.Errorf("%v, and the next song begins with %d", end, change.Number)
				}
			})
		})
	}
}

// The server crashes after the decision, before the pacer has heard of it. The restarted server ends the song: it
// gives out again what was given out before, byte for byte, and then the next song, without a hole.
func TestPacer_Skip_Restart(t *testing.T) {
	for _, down := range []time.Duration{200 * time.Millisecond, 3 * time.Second, 8 * time.Second, 5 * time.Minute} {
		t.Run(fmt.Sprint(down), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStudio(t, all...)
				s.start()
				before := s.read(1, 12*time.Second)
				decided := s.decide()
				s.stop()
				time.Sleep(down)
				s.start()
				defer s.stop()
				after := s.read(0, 20*time.Second)
				given := map[uint64][]byte{}
				for _, i := range before {
					given[i.Number] = i.Payload
				}
				for _, i := range after {
					if was, is := given[i.Number]; is && !bytes.Equal(was, i.Payload) {
						t.Fatalf("item %d is another than before", i.Number)
					}
				}
				if last := before[len(before)-1].Number; down < messages.Window-messages.Slack && after[0].Number > last+1 {
					t.Errorf("items %d to %d are lost", last+1, after[0].Number-1)
				}
				end := s.ended()[0]
				if end.GetSong() != decided.GetSong() || end.GetHeard() != messages.Heard_HEARD_ENOUGH && down < time.Minute {
					t.Errorf("%v, which was to be skipped", end)
				}
				if !slices.ContainsFunc(after, func(i heard) bool { return i.Change != nil && i.Number == end.GetNext() }) && down < time.Minute {
					t.Errorf("no song begins with %d", end.GetNext())
				}
			})
		})
	}
}

// The song is skipped when the actor has just started again and is opening the song's file.
func TestPacer_Skip_Panic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, all...)
		s.start()
		defer s.stop()
		s.read(1, 5*time.Second)
		s.crash()
		s.system.Root.Send(s.pacer, s.decide())
		s.read(0, 10*time.Second)
		if ended := s.ended(); len(ended) != 1 || ended[0].GetHeard() != messages.Heard_HEARD_ENOUGH {
			t.Errorf("%v", ended)
		}
	})
}
