package pacer

import (
	"bytes"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"conga/messages"
)

// stuck is a file on a disk that hangs at one byte until the test lets it go on.
type stuck struct {
	io.Reader
	left   int
	goesOn <-chan struct{}
	open   *atomic.Int32 // files that are open
}

func (f *stuck) Read(b []byte) (int, error) {
	if f.left == 0 {
		<-f.goesOn
		f.left = -1
	}
	if f.left > 0 {
		b = b[:min(len(b), f.left)]
	}
	n, err := f.Reader.Read(b)
	if f.left > 0 {
		f.left -= n
	}
	return n, err
}

func (f *stuck) Close() error {
	f.open.Add(-1)
	return nil
}

// hangs makes the disk of a song hang at the byte; at 0 it does not even open the file.
func hangs(s *shelf, name string, at int, goesOn <-chan struct{}) (open *atomic.Int32) {
	open = new(atomic.Int32)
	s.change(name, func(f tape) tape {
		f.stuck = func(data []byte) io.ReadCloser {
			open.Add(1)
			if at == 0 {
				<-goesOn
			}
			return &stuck{Reader: bytes.NewReader(data), left: max(at, 1), goesOn: goesOn, open: open}
		}
		return f
	})
	return open
}

// If a disk sleeps in the middle of a song, for less than what is read ahead, nobody hears it.
func TestPacer_DiskSleeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, all...)
		goesOn := make(chan struct{})
		hangs(s.shelf, "bach.mp3", 560_000, goesOn) // in its last seconds
		time.AfterFunc(25*time.Second, func() { close(goesOn) })
		began := s.now()
		s.start()
		defer s.stop()
		items := s.read(0, 2*time.Minute)
		onTime(t, items, began)
		gapless(t, items)
	})
}

// If a disk hangs for good in the middle of a song, what was read is played, then another song that can
// be read. The pacer answers all the while.
func TestPacer_DiskHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, all...)
		goesOn := make(chan struct{})
		open := hangs(s.shelf, "bach.mp3", 320_000, goesOn)
		s.start()
		defer s.stop()
		for range 90 {
			time.Sleep(500 * time.Millisecond)
			s.look()
		}
		reason := ""
		for _, event := range s.events() {
			if ended, is := event.(*messages.SongEnded); is && ended.GetSong() == "bach.mp3" {
				reason = ended.GetReason()
			}
		}
		if !strings.Contains(reason, "does not answer") {
			t.Errorf("it ended since %q", reason)
		}
		// What was read, half of it, has been given out.
		if state, _ := s.look(); state.Song == nil || state.Song.Name != "beethoven.mp3" || state.Song.Number < 170 || state.Song.Number > 190 {
			t.Errorf("%v is on", state.Song)
		}
		close(goesOn)
		synctest.Wait()
		if n := open.Load(); n != 0 {
			t.Errorf("%d files are still open", n)
		}
	})
}

// If no file can be opened on a disk any more, other songs play, only a few calls hang, and all goes
// on when the disk does.
func TestPacer_DiskDoesNotOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, "bach.mp3", "pachelbel.mp3")
		goesOn := make(chan struct{})
		bach := hangs(s.shelf, "bach.mp3", 0, goesOn)
		s.start()
		defer s.stop()
		time.Sleep(10 * time.Minute)
		if n := bach.Load(); n < 2 || n > maxCalls {
			t.Errorf("%d calls hang", n)
		}
		before := len(s.events())
		if _, live := s.look(); len(live.Songs) < 3 || before > 200 {
			t.Errorf("%d songs in ten minutes, %d events", len(live.Songs), before)
		}
		close(goesOn)
		time.Sleep(5 * time.Minute)
		played := 0
		for _, event := range s.events()[before:] {
			if ended, is := event.(*messages.SongEnded); is && ended.GetReason() == "" {
				played++
			}
		}
		if played < 6 {
			t.Errorf("%d songs in the five minutes since", played)
		}
		if n := bach.Load(); n > 1 {
			t.Errorf("%d files are open", n)
		}
	})
}

// A file that breaks the parser ends its song, not the server.
func TestPacer_FileBreaksTheParser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStudio(t, "bach.mp3", "pachelbel.mp3")
		s.shelf.change("bach.mp3", func(f tape) tape {
			f.stuck = func(data []byte) io.ReadCloser {
				return io.NopCloser(io.MultiReader(bytes.NewReader(data[:300_000]), breaks{}))
			}
			return f
		})
		s.start()
		defer s.stop()
		s.read(0, time.Minute)
		reason := ""
		for _, event := range s.events() {
			if ended, is := event.(*messages.SongEnded); is && ended.GetSong() == "bach.mp3" {
				reason = ended.GetReason()
			}
		}
		if !strings.Contains(reason, "bad index") {
			t.Errorf("it ended since %q", reason)
		}
	})
}

type breaks struct{}

func (breaks) Read([]byte) (int, error) { panic("bad index") }
