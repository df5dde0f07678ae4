package node

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"conga/actors/player"
	"conga/messages"
	"conga/transport"
)

// pastSongs is the past as the server sends it: songs of 48 kHz, each with a change and chunks from `first` on.
type pastSongs struct {
	t   *testing.T
	out bytes.Buffer
}

func (p *pastSongs) add(item *messages.Item) {
	p.t.Helper()
	frame, err := transport.AppendFrame(nil, transport.Frame{Kind: item.Kind(), Payload: item.Payload})
	if err != nil {
		p.t.Fatal(err)
	}
	p.out.Write(frame)
}

// song was heard at `at`. It has 20 chunks of 96 ms; those from `from` on are sent.
func (p *pastSongs) song(number uint64, at time.Time, from int) {
	p.t.Helper()
	change, err := messages.NewSongChange(&messages.SongChange{Number: number, Song: "a.mp3", SampleRate: 48000, FramesPerChunk: 4, Frames: 80, PlayAtUnixUs: at.UnixMicro()})
	if err != nil {
		p.t.Fatal(err)
	}
	p.add(change)
	for i := from; i < 20; i++ {
		p.add(messages.NewChunk(number+1+uint64(i), int64(4*i), make([]byte, 384)))
	}
}

const pastChunk = 96 * time.Millisecond

// Music of the past is heard gapless from soon after it comes, also where nothing was broadcast for minutes.
func TestPastMusic_Gapless(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		was := time.Now().Add(-time.Hour)
		p := &pastSongs{t: t}
		p.song(10, was, 5)
		p.song(31, was.Add(20*pastChunk), 0)
		p.song(52, was.Add(10*time.Minute), 2) // the server was down
		asked := ""
		a := newPastMusic(func(_ context.Context, moment string) (io.ReadCloser, error) {
			asked = moment
			return io.NopCloser(&p.out), nil
		}, "song", slog.New(slog.DiscardHandler))
		defer a.leave()
		a.sources(func() int64 { return time.Now().UnixMicro() }, nil)
		source := a.Source()
		want, songs := time.Now().Add(againIn), 0
		for n := range 3 + 15 + 20 + 18 {
			item, err := source.Next(t.Context())
			if err != nil {
				t.Fatalf("item %d: %v", n, err)
			}
			if item.Change != nil {
				songs++
				continue
			}
			if at := time.UnixMicro(item.PlayAt()); !at.Equal(want) {
				t.Fatalf("item %d is heard at %v, not %v", item.Number, at, want)
			}
			want = want.Add(pastChunk)
		}
		if _, err := source.Next(t.Context()); !errors.Is(err, io.EOF) || songs != 3 || asked != "song" {
			t.Errorf("%v after %d songs from %q", err, songs, asked)
		}
		// The connection has ended: the next one goes on where the music is by then.
		time.Sleep(time.Second)
		p.song(52, was.Add(10*time.Minute), 2)
		if _, err := a.Source().Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		if at, err := time.Parse(time.RFC3339Nano, asked); err != nil || at.Before(was.Add(10*time.Minute-messages.Window)) || at.After(was.Add(10*time.Minute+20*pastChunk)) {
			t.Errorf("it asks for %s (%v)", asked, err)
		}
	})
}

// Whoever has enough of the past hears at once what is broadcast now, also while nothing comes from the server, or nobody answers.
func TestPastMusic_Leave(t *testing.T) {
	for _, answers := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			body, _ := io.Pipe()
			a := newPastMusic(func(context.Context, string) (io.ReadCloser, error) {
				if answers {
					return body, nil
				}
				return nil, errors.New("it is away")
			}, "song", slog.New(slog.DiscardHandler))
			now := &pastSource{}
			open := a.sources(func() int64 { return time.Now().UnixMicro() }, func() player.Source { return now })
			source, began := open(), time.Now()
			if source == now {
				t.Fatal("the past is not heard at all")
			}
			time.AfterFunc(askPastAgain/2, func() {
				if !a.leave() || a.leave() {
					t.Error("it does not say whether the past was heard")
				}
			})
			if _, err := source.Next(t.Context()); err == nil || time.Since(began) != askPastAgain/2 || open() != now {
				t.Errorf("after %v: %v", time.Since(began), err)
			}
		})
	}
}

// If the clock is set or the line stands still, it begins anew at the music that comes next.
func TestPastMusic_OutOfTime(t *testing.T) {
	for _, jump := range []time.Duration{time.Hour, -time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			was := time.Now().Add(-24 * time.Hour).Truncate(time.Microsecond)
			p, set, asked := &pastSongs{t: t}, time.Duration(0), ""
			p.song(10, was, 0)
			a := newPastMusic(func(_ context.Context, moment string) (io.ReadCloser, error) {
				asked = moment
				return io.NopCloser(&p.out), nil
			}, "song", slog.New(slog.DiscardHandler))
			defer a.leave()
			a.sources(func() int64 { return time.Now().Add(set).UnixMicro() }, nil)
			source := a.Source()
			for range 4 {
				if _, err := source.Next(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			set = jump
			if _, err := source.Next(t.Context()); !errors.Is(err, errOutOfTime) {
				t.Fatalf("the clock was set by %v: %v", jump, err)
			}
			p.out.Reset()
			p.song(10, was, 3)
			source = a.Source()
			var item *messages.Item
			for range 2 {
				var err error
				if item, err = source.Next(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if in := time.UnixMicro(item.PlayAt()).Sub(time.Now().Add(set)); asked != was.Add(3*pastChunk).Format(time.RFC3339Nano) || in != againIn {
				t.Errorf("it asks for %s, and that is heard in %v", asked, in)
			}
		})
	}
}
