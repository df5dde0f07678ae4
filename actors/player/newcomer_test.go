package player

import (
	"testing"
	"testing/synctest"
	"time"

	"conga/messages"
)

// farTape is a tape whose sound is heard a while after it takes it.
type farTape struct{ tape }

const farLatency = 250 * time.Millisecond

func (*farTape) Latency() time.Duration { return farLatency }

// A newcomer is heard as soon as its device can be, if its line is fast. If it is hardly faster than the music, the newcomer
// waits until it has some in hand, but not for ever. In no case it runs dry.
func TestPlayer_Newcomer(t *testing.T) {
	bach := load(t, "bach.mp3", 44100, 12)
	for name, line := range map[string]struct {
		speed  float64       // of what the node above has in hand, compared with the music
		first  time.Duration // how long before it is heard the first chunk comes
		uneven time.Duration // every third chunk comes so much later
		within time.Duration // it is heard so long after it has joined
	}{
		"a fast line":                       {speed: 50, first: messages.JoinAhead, within: farLatency + 60*time.Millisecond},
		"a line hardly faster than music":   {speed: 1.1, first: messages.JoinAhead, uneven: 30 * time.Millisecond, within: farLatency + 2200*time.Millisecond},
		"a line that is faster, but uneven": {speed: 1.5, first: messages.JoinAhead, uneven: 90 * time.Millisecond, within: farLatency + 1200*time.Millisecond},
		"the end of a deep chain":           {speed: 1, first: farLatency + 200*time.Millisecond, uneven: 30 * time.Millisecond, within: farLatency + 1200*time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				out, f := &farTape{}, &facts{}
				cfg := testConfig(t, f, out, nil)
				first := cfg.Now() + line.first.Microseconds()
				source := &script{now: cfg.Now, lead: 2 * time.Second, late: map[uint64]time.Duration{}}
				for _, item := range broadcast(t, first-3_000_000, bach) {
					after := time.Duration(item.PlayAt()-first) * time.Microsecond
					if item.Change == nil && after < 0 {
						continue
					}
					late := source.lead - line.first - after + time.Duration(float64(after)/line.speed)
					if item.Number%3 == 0 {
						late += line.uneven
					}
					source.late[item.Number] = max(0, late) // then it is as early as all who listen
					source.items = append(source.items, item)
				}
				cfg.Open = func() Source { return source }
				e := start(cfg, func(reason string) { t.Error(reason) })
				time.Sleep(6 * time.Second)
				live := e.deck.live()
				e.stop()
				if live.Underruns != 0 || live.SilentMs != 0 || live.HeardNumber == 0 {
					t.Errorf("%+v", live)
				}
				heard := time.Duration(firstSound(left(out.pcm())))*time.Second/outputRate + farLatency
				t.Logf("heard after %v", heard)
				if heard > line.within {
					t.Errorf("it is heard after %v, want %v", heard, line.within)
				}
			})
		})
	}
}
