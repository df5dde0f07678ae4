package player

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"conga/messages"
	"conga/messages/raced"
)

func TestPlayer_OutputVanishes(t *testing.T) {
	bach := load(t, "bach.mp3", 44100, 5)
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		out := &tape{fail: make(chan error, 1)}
		_, live, f := play(t, 4*time.Second, broadcastOf(t, bach), func(cfg *Config, _ *script) {
			cfg.Log = logTo(&said)
			cfg.Output = out
			time.AfterFunc(2*time.Second, func() { out.fail <- errors.New("the card is gone: plug it in") })
		})
		if live.Output != "null" || live.Silenced != "the card is gone: plug it in" || live.Underruns != 0 {
			t.Errorf("%+v", live)
		}
		if live.NeverHeard || live.MutedMs < 2900 || live.MutedMs > 3100 {
			t.Errorf("it was heard, and then for three seconds not: %+v", live)
		}
		if live.HeardNumber < 30 {
			t.Errorf("item %d is heard: it does not go on", live.HeardNumber)
		}
		if n := strings.Count(said.String(), "the card is gone"); n != 1 {
			t.Errorf("said %d times: %s", n, &said)
		}
		if got := fellSilent(f); len(got) != 1 || got[0] != "the card is gone: plug it in" {
			t.Errorf("%v", got)
		}
	})
}

// card is a Device that is there at times.
type card struct {
	*tape
	away func() error // nil: it is there
}

func (c card) Open(context.Context) (Output, error) {
	if err := c.away(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bytes = nil
	return c.tape, nil
}

// TestPlayer_CardComesAndGoes: as soon as there is a card, the music is heard, and in time.
func TestPlayer_CardComesAndGoes(t *testing.T) {
	bach := load(t, "bach.mp3", 44100, 16)
	want := left(bach.pcm(t))
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		began := time.Now()
		since := func() time.Duration { return time.Since(began) }
		out := card{tape: &tape{fail: make(chan error, 1)}}
		tries := 0
		out.away = func() error {
			tries++
			if at := since(); at < 2*time.Second || at > 5*time.Second && at < 8*time.Second {
				return errors.New("no card: plug one in, or type --output null")
			}
			return nil
		}
		pcm, live, f := play(t, 13*time.Second, broadcastOf(t, bach), func(cfg *Config, _ *script) {
			cfg.Log = logTo(&said)
			cfg.Output = out
			time.AfterFunc(6*time.Second, func() { out.fail <- errors.New("the card was pulled") })
		})
		if len(pcm) != 0 {
			t.Error("something was played without the card")
		}
		if got := fellSilent(f); len(got) != 2 || !strings.HasPrefix(got[0], "no card") || got[1] != "the card was pulled" {
			t.Errorf("fell silent: %q", got)
		}
		if again := of[*messages.PlayerHeardAgain](f); len(again) != 2 {
			t.Errorf("heard again %d times", len(again))
		}
		if warned, told := strings.Count(said.String(), "WARN"), strings.Count(said.String(), "heard again"); warned != 2 || told != 2 {
			t.Errorf("%d warnings, %d times heard again: %s", warned, told, &said)
		}
		if live.Output != "tape" || live.Silenced != "" || live.Underruns != 0 || live.Holes != 0 {
			t.Errorf("%+v", live)
		}
		if live.NeverHeard || live.MutedMs < 5000 || live.MutedMs > 9000 {
			t.Errorf("it was not heard from 0 to 2 s and from 6 to 8 s, with the waits of both: %+v", live)
		}
		if tries > 6 {
			t.Errorf("the card was tried %d times in 14 s", tries)
		}
		heard := left(out.pcm())
		at := int((out.began.Sub(began) - time.Second).Seconds() * outputRate) // the song begins after a second
		if at < 7*outputRate || len(heard) < 3*outputRate {
			t.Fatalf("opened %v after the start, %d frames", out.began.Sub(began), len(heard))
		}
		if c := correlation(want[at+outputRate/2:at+3*outputRate], heard[outputRate/2:]); c < 0.99 {
			t.Errorf("correlation %.4f: it is not in time", c)
		}
	})
}

// The player tries an absent card for ever, but not often, because each try starts a process.
func TestPlayer_NoCardAtAll(t *testing.T) {
	long := raced.Size(time.Hour, 3*time.Minute)
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		tries := 0
		out := card{&tape{}, func() error {
			tries++
			return errors.New("no card")
		}}
		_, live, f := play(t, long, func(int64) []*messages.Item { return nil }, func(cfg *Config, _ *script) {
			cfg.Log = logTo(&said)
			cfg.Output = out
		})
		if most := int(long/retryMost) + 10; tries < most-20 || tries > most {
			t.Errorf("tried %d times in %v", tries, long)
		}
		if got := fellSilent(f); len(got) != 1 || strings.Count(said.String(), "no card") != 1 || live.Silenced != "no card" || !live.NeverHeard {
			t.Errorf("said more than once, or not at all: %q, %q, %s", got, live.Silenced, &said)
		}
	})
}
