package right

import (
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func newWorld(t *rapid.T) *world {
	w := &world{given: map[uint64]time.Duration{}, faults: true}
	w.chance = rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "chance"), 1))
	w.length = time.Duration(rapid.IntRange(200, 10_000).Draw(t, "lengthMs")) * time.Millisecond
	worst := rapid.SampledFrom([]float64{300e-6, 0.1}).Draw(t, "how wrong clocks are") // real ones, and such that a lack of margin shows
	w.margin = time.Duration(worst*float64(w.length)) + time.Microsecond
	for range rapid.IntRange(2, 4).Draw(t, "servers") {
		w.start(1 + worst*rapid.SampledFrom([]float64{-1, 0, 1}).Draw(t, "rate"))
	}
	return w
}

// Two servers never both give out music: whatever the network delays, loses and keeps apart, whoever stands still, sleeps,
// stops or dies, and however its clock is set.
func TestRight_Property_OneGives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		for range rapid.IntRange(0, 30).Draw(t, "faults") {
			w.after(time.Duration(w.chance.Int64N(int64(20*w.length))), w.harm)
		}
		w.run(20 * w.length)
		if w.wrong != "" {
			t.Fatal(w.wrong)
		}
	})
}

// If the register answers, and the leader is gone, a standby leads within a length, two margins and the time of some
// messages.
func TestRight_Property_OneLeads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		for range rapid.IntRange(0, 10).Draw(t, "faults") {
			w.after(time.Duration(w.chance.Int64N(int64(5*w.length))), w.harm)
		}
		w.run(5 * w.length)
		w.faults = false
		w.run(20 * w.length) // what was lost, cut off or asleep is back
		leader := w.leads(t)
		leader.dead = true
		died := w.now
		within := (w.length+2*w.margin)*10/9 + w.length/20
		w.run(died + within)
		if w.wrong != "" {
			t.Fatal(w.wrong)
		}
		if next := w.leads(t); next == leader {
			t.Fatal("the dead one leads")
		}
	})
}

// leads returns the one that leads now.
func (w *world) leads(t *rapid.T) (leader *server) {
	for _, s := range w.servers {
		if s.dead || s.state.Term() == 0 || !s.moment().Before(s.state.Until()) {
			continue
		}
		if leader != nil {
			t.Fatalf("%s and %s lead", leader.name, s.name)
		}
		leader = s
	}
	if leader == nil {
		t.Fatalf("%v: nobody leads", w.now)
	}
	return leader
}
