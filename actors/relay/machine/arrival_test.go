package machine

import (
	"testing"
	"time"

	"conga/messages"
)

// days is music as it comes to a node, item by item, at a tenth of a second each.
type days struct {
	a   arrival
	now time.Time
}

func newDays() *days {
	d := &days{now: time.Unix(1_700_000_000, 0)}
	d.a.runs(d.now)
	d.a.fed(d.now)
	return d
}

// pass lets time pass, with a glance each quarter of a second; an item that leaves the server at t
// comes delay(t) later. It returns when the music was found late, 0 if it was not.
func (d *days) pass(long time.Duration, delay func(at time.Duration) time.Duration) (late time.Duration) {
	begin, glanced, item := d.now, d.now, d.now
	for ; d.now.Sub(begin) < long; d.now = d.now.Add(10 * time.Millisecond) {
		d.a.runs(d.now)
		for ; !item.Add(delay(item.Sub(begin))).After(d.now); item = item.Add(100 * time.Millisecond) {
			d.a.music(d.now, d.now.UnixMicro(), &messages.Item{Song: &messages.SongChange{SampleRate: 44100, PlayAtUnixUs: item.Add(messages.Slack).UnixMicro()}})
		}
		if d.now.Sub(glanced) >= Glance {
			glanced = d.now
			if d.a.glanced(d.now, d.now.UnixMicro()); d.a.late() {
				return d.now.Sub(begin)
			}
		}
	}
	return 0
}

func steadily(d time.Duration) func(time.Duration) time.Duration {
	return func(time.Duration) time.Duration { return d }
}

func growing(from time.Duration, part float64) func(time.Duration) time.Duration {
	return func(at time.Duration) time.Duration { return from + time.Duration(part*float64(at)) }
}

func TestArrival_Late(t *testing.T) {
	for _, c := range []struct {
		name  string
		delay func(time.Duration) time.Duration
		most  time.Duration // until it is found; 0: it must not be
		left  time.Duration // at least, when it is found
	}{
		{"in time", steadily(20 * time.Millisecond), 0, 0},
		{"deep in the chain", steadily(1300 * time.Millisecond), 0, 0},
		{"half of play rate", growing(0, 1), 3 * time.Second, 500 * time.Millisecond},
		{"deep, and slowly later", growing(500*time.Millisecond, 0.1), 13 * time.Second, 300 * time.Millisecond},
		{"a little later with each item", growing(0, 0.005), 320 * time.Second, 300 * time.Millisecond},
		{"a stop further up", func(at time.Duration) time.Duration {
			if at > 2*time.Second && at < 3*time.Second {
				return 3*time.Second - at
			}
			return 0
		}, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDays()
			found := d.pass(330*time.Second, c.delay)
			if (found > 0) != (c.most > 0) || found > c.most {
				t.Fatalf("found after %v, want within %v", found, c.most)
			}
			if found > 0 && d.a.margin() < c.left {
				t.Errorf("found with %v left", d.a.margin())
			}
		})
	}
}

// Music that comes later and later for a while and then catches up is no reason to leave.
func TestArrival_CatchesUp(t *testing.T) {
	d := newDays()
	if found := d.pass(10*time.Second, func(at time.Duration) time.Duration {
		if at < 900*time.Millisecond { // half of play rate
			return at
		}
		return max(0, 1800*time.Millisecond-at/2-450*time.Millisecond) // and one and a half of it
	}); found > 0 {
		t.Errorf("found late after %v", found)
	}
}

// If nobody above had it earlier, others are not asked all the time.
func TestArrival_Settles(t *testing.T) {
	d := newDays()
	if d.pass(20*time.Second, growing(0, 0.2)) == 0 {
		t.Fatal("not found")
	}
	delay := d.a.delay
	d.a.settle(d.now)
	if found := d.pass(20*time.Second, steadily(delay)); found > 0 {
		t.Errorf("found again after %v", found)
	}
}

// A node that stood still, by either of the machine's clocks, blames nobody for a while.
func TestArrival_StoodStill(t *testing.T) {
	d := newDays()
	d.pass(5*time.Second, steadily(0))
	if d.a.excused(d.now) {
		t.Error("excused without a reason")
	}
	d.now = d.now.Add(6 * time.Second)
	d.a.runs(d.now)
	if !d.a.excused(d.now) || d.a.hungry(d.now) {
		t.Error("after six seconds of standing still it is not excused, or blames the upstream for the silence")
	}
	d.pass(excused+time.Second, steadily(0))
	if d.a.excused(d.now) {
		t.Error("excused for ever")
	}
}

// For how long a node has had no music, it counts only while it runs: it looks late after it stood still.
func TestArrival_StoodStillBriefly(t *testing.T) {
	d := newDays()
	begin := d.now
	d.a.slack = messages.Slack
	for _, c := range []struct {
		at     time.Duration
		hungry bool
	}{{250, false}, {500, false}, {750, false}, {1500, false}, {1740, false}, {2001, true}} {
		d.now = begin.Add(c.at * time.Millisecond)
		d.a.runs(d.now)
		d.a.glanced(d.now, d.now.UnixMicro())
		if d.a.hungry(d.now) != c.hungry {
			t.Errorf("after %v without music, of which it stood still for half a second: hungry %v", d.now.Sub(begin), !c.hungry)
		}
	}
}

// Music is late only if the node looks in time: on a machine that is too busy everything seems late.
func TestArrival_LooksLate(t *testing.T) {
	for _, c := range []struct {
		every time.Duration
		late  bool
	}{{Glance, true}, {2 * Glance, true}, {2*Glance + time.Millisecond, false}, {900 * time.Millisecond, false}} {
		now := time.Unix(1_800_000_000, 0)
		a := arrival{known: true, delay: tooLate + time.Millisecond, slack: messages.Slack, fast: 0}
		a.best[0] = bestDelay{since: now}
		for range upstreamGlances + 1 {
			now = now.Add(c.every)
			a.heard = now
			a.glanced(now, now.UnixMicro())
		}
		if a.late() != c.late {
			t.Errorf("looking every %v: late %v, want %v", c.every, a.late(), c.late)
		}
	}
}
