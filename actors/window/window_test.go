package window

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"conga/messages"

	"pgregory.net/rapid"
)

// broadcast is a song change and n chunks of one frame each at 48 kHz (24 ms).
func broadcast(t interface{ Fatal(...any) }, n int) []*messages.Item {
	change, err := messages.NewSongChange(&messages.SongChange{
		Number: 1, Song: "a.mp3", SampleRate: 48000, FramesPerChunk: 1, PlayAtUnixUs: 1_000_000,
	})
	if err != nil {
		t.Fatal(err)
	}
	items := []*messages.Item{change}
	for i := range n {
		chunk := messages.NewChunk(uint64(i)+2, int64(i), []byte("frame"))
		chunk.Song = change.Change
		items = append(items, chunk)
	}
	return items
}

// After a restart the window is as new, and those who read on are told.
func TestWindow_Restart(t *testing.T) {
	w := New()
	items := broadcast(t, 100)
	for _, item := range items {
		if err := w.Append(item); err != nil {
			t.Fatal(err)
		}
	}
	old := w.Open(50)
	w.Restart()
	if _, err := old.Next(t.Context()); !errors.Is(err, messages.ErrAnew) {
		t.Errorf("a reader of before is told %v", err)
	}
	if w.Next() != 0 || w.Last() != nil {
		t.Errorf("it still has %v", w.Last())
	}
	if err := w.Append(items[1]); err != nil {
		t.Fatal(err)
	}
	if item, err := w.Open(0).Next(t.Context()); err != nil || item != items[1] {
		t.Errorf("a new reader gets %v, %v", item, err)
	}
}

func TestWindow_ReadersSeeAllInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := New()
		items := broadcast(t, 100)
		done := make(chan []uint64)
		for range 3 {
			c := w.Open(1)
			go func() {
				var got []uint64
				for {
					item, err := c.Next(t.Context())
					if errors.Is(err, ErrClosed) {
						done <- got
						return
					}
					got = append(got, item.Number)
				}
			}()
		}
		for _, item := range items {
			if err := w.Append(item); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		w.Close()
		for range 3 {
			got := <-done
			if len(got) != 101 || got[0] != 1 || got[100] != 101 {
				t.Fatalf("reader saw %v", got)
			}
		}
	})
}

func TestWindow_SlowReaderFallsOut(t *testing.T) {
	w := New()
	items := broadcast(t, 1000) // 24 s: twice the window
	slow := w.Open(1)
	for i, item := range items {
		if err := w.Append(item); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if _, err := slow.Next(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := slow.Next(t.Context()); !errors.Is(err, ErrFellOut) {
		t.Fatalf("slow reader got %v, want ErrFellOut", err)
	}
	fresh := w.Open(1)
	item, err := fresh.Next(t.Context())
	if err != nil || item.Number == 1 {
		t.Fatalf("a fresh reader of item 1 got %v, %v; want the oldest kept", item, err)
	}
	if kept := w.Next() - item.Number; kept < 499 || kept > maxItems {
		t.Fatalf("%d items kept, want twelve seconds of 24 ms, within bounds", kept)
	}
}

func TestWindow_NewcomerStartsAtPlayTime(t *testing.T) {
	w := New()
	for _, item := range broadcast(t, 100) {
		if err := w.Append(item); err != nil {
			t.Fatal(err)
		}
	}
	item, err := w.OpenAt(1_000_000 + 240_000).Next(t.Context())
	if err != nil || item.FirstFrame != 10 {
		t.Fatalf("got %v, %v; want the chunk of frame 10", item, err)
	}
}

func TestWindow_NumbersOnlyGrow(t *testing.T) {
	w := New()
	items := broadcast(t, 3)
	if err := w.Append(items[2]); err != nil {
		t.Fatal(err)
	}
	if err := w.Append(items[1]); err == nil {
		t.Fatal("an older number was taken")
	}
}

// A node that stops closes its window before its writer has heard of it.
func TestWindow_AppendAfterClose(t *testing.T) {
	w := New()
	items := broadcast(t, 3)
	if err := w.Append(items[0]); err != nil {
		t.Fatal(err)
	}
	w.Close()
	w.Close()
	if err := w.Append(items[1]); err != nil {
		t.Errorf("an item after the end: %v", err)
	}
	if err := w.Append(items[1]); err == nil {
		t.Error("the same number twice was taken")
	}
	c := w.Open(1)
	if item, err := c.Next(t.Context()); err != nil || item.Number != 1 {
		t.Errorf("what was there before the end: %v, %v", item, err)
	}
	if item, err := c.Next(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("after the end: %v, %v", item, err)
	}
}

// The bounds leave room for all of messages.Window, also of the largest frames that layer III
// has (1441 bytes; free format, which nobody takes, could send them at 48 kHz) and of
// the shortest chunks, a frame each.
func TestWindow_HoldsTheLargestMusic(t *testing.T) {
	const largestFrame, frameUs = 1441, 24_000
	for _, perChunk := range []int{1, 4} {
		change, err := messages.NewSongChange(&messages.SongChange{
			Number: 1, Song: "a.mp3", SampleRate: 48000, FramesPerChunk: int32(perChunk), PlayAtUnixUs: 1_000_000,
		})
		if err != nil {
			t.Fatal(err)
		}
		w := New()
		if err := w.Append(change); err != nil {
			t.Fatal(err)
		}
		chunks := 3 * int(messages.Window.Microseconds()) / frameUs / perChunk
		for i := range chunks {
			chunk := messages.NewChunk(uint64(i)+2, int64(i*perChunk), make([]byte, perChunk*largestFrame))
			chunk.Song = change.Change
			if err := w.Append(chunk); err != nil {
				t.Fatal(err)
			}
		}
		oldest, err := w.Open(1).Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		held := time.Duration(w.Last().PlayAt()-oldest.PlayAt()) * time.Microsecond
		if chunk := time.Duration(perChunk*frameUs) * time.Microsecond; held <= messages.Window-chunk || held > messages.Window {
			t.Errorf("with %d frames a chunk the window holds %v", perChunk, held)
		}
	}
}

func TestCursor_CancelledWhileWaiting(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := New().Open(0).Next(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want context.Canceled", err)
	}
}

// Whatever is lost above, a reader sees each kept number once, ascending.
func TestWindow_HolesProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		items := broadcast(t, 60)
		w := New()
		c := w.Open(1)
		var want []uint64
		for _, item := range items {
			if rapid.Bool().Draw(t, "arrives") {
				if err := w.Append(item); err != nil {
					t.Fatal(err)
				}
				want = append(want, item.Number)
			}
		}
		w.Close()
		for _, number := range want {
			item, err := c.Next(context.Background())
			if err != nil || item.Number != number {
				t.Fatalf("got %v, %v; want item %d", item, err, number)
			}
		}
		if _, err := c.Next(context.Background()); !errors.Is(err, ErrClosed) {
			t.Fatalf("after the last: %v", err)
		}
	})
}

// A reader that follows gets the same as any other: each item once, in order, whoever hands it over and however many at
// once, while it now and then does not take an item, or is woken. It is never left waiting for more that does not come.
func TestCursor_Property_Follow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		items := broadcast(t, 200)
		refuses := rapid.Uint64Range(1, 9).Draw(t, "refuses")
		w := New()
		wake := make(chan time.Time)
		var got []uint64
		waits := false
		direct := func(item *messages.Item, more bool) bool {
			waits = more
			if item.Number%refuses == 0 {
				waits = false
				return false
			}
			got = append(got, item.Number) // the race detector sees whether the two goroutines take turns
			return true
		}
		done := make(chan error)
		c := w.Open(1)
		go func() {
			for {
				item, err := c.Follow(context.Background(), wake, direct)
				if waits {
					err = errors.New("it waits for more")
				}
				if err != nil {
					done <- err
					return
				}
				if item != nil {
					got = append(got, item.Number)
				}
			}
		}()
		for left := items; len(left) > 0; {
			if rapid.Bool().Draw(t, "woken") {
				select {
				case wake <- time.Time{}:
				default:
				}
			}
			n := rapid.IntRange(1, min(20, len(left))).Draw(t, "at once")
			if err := w.Append(left[:n]...); err != nil {
				t.Fatal(err)
			}
			left = left[n:]
		}
		anew := rapid.Bool().Draw(t, "anew")
		want := ErrClosed
		if anew {
			want = messages.ErrAnew
			w.Restart()
		} else {
			w.Close()
		}
		if err := <-done; !errors.Is(err, want) {
			t.Fatalf("it ended with %v", err)
		}
		for i, number := range got {
			if number != uint64(i)+1 {
				t.Fatalf("after %d items it got item %d", i, number)
			}
		}
		if !anew && len(got) != len(items) {
			t.Fatalf("it got %d of %d items", len(got), len(items))
		}
		if len(w.follow) > 0 {
			t.Fatal("it still follows")
		}
	})
}

// While a reader waits, an item is taken without another goroutine.
func TestCursor_Direct(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		items := broadcast(t, 300)
		w := New()
		taken := 0
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			_, err := w.Open(1).Follow(ctx, nil, func(*messages.Item, bool) bool { taken++; return true })
			done <- err
		}()
		synctest.Wait()
		for i, item := range items {
			if err := w.Append(item); err != nil || taken != i+1 {
				t.Fatalf("after item %d it has taken %d, %v", i+1, taken, err)
			}
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
	})
}
