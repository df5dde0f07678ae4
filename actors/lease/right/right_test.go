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

// A claim that was under way when a server fell does not make it lead again.
func TestState_FallsWhileItClaims(t *testing.T) {
	s := New(Config{Self: "one", Length: time.Second, Margin: 10 * time.Millisecond, Renew: 200 * time.Millisecond})
	at := func(ms int) Moment {
		return Moment{Steady: time.Duration(ms) * time.Millisecond, Wall: time.Duration(ms) * time.Millisecond}
	}
	for _, in := range []struct {
		ms    int
		input any
		leads bool
	}{
		{100, Seen{}, false}, {110, Kept{Try: 1, Number: 1}, true}, {300, Look{}, true}, // it sends the second claim
		{310, Fallen{}, false}, {320, Kept{Try: 2, Number: 2}, false}, {1300, Look{}, false}, {1500, Look{}, false},
	} {
		if s, _ = s.Step(at(in.ms), in.input); s.Term() > 0 != in.leads {
			t.Errorf("after %T at %d ms it leads: %v, want %v", in.input, in.ms, s.Term() > 0, in.leads)
		}
	}
	s, out := s.Step(at(1600), Look{})
	if _, claims := out[0].(Publish); len(out) != 1 || !claims {
		t.Errorf("nobody has claimed the lead, and it does %v", out)
	}
	if s, _ = s.Step(at(1610), Kept{Try: 3, Number: 3}); s.Term() == 0 {
		t.Error("it never leads again")
	}
}
