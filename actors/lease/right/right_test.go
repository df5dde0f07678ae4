package right

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"conga/messages"
	"conga/messages/raced"

	"pgregory.net/rapid"
)

func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", strconv.Itoa(raced.Size(100, 20))); err != nil { // a flag of the command line wins
		panic(err)
	}
	os.Exit(m.Run())
}

func newWorld(t *rapid.T, registers ...int) *world {
	w := &world{over: map[leadership]bool{}, faults: true}
	w.chance = rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "chance"), 1))
	for range rapid.SampledFrom(registers).Draw(t, "registers") {
		w.registers = append(w.registers, &shared{})
	}
	w.length = time.Duration(rapid.IntRange(200, 5_000).Draw(t, "lengthMs")) * time.Millisecond
	worst := rapid.SampledFrom([]float64{300e-6, 0.1}).Draw(t, "how wrong clocks are") // real ones, and such that a lack of margin shows
	w.margin = time.Duration(worst*float64(w.length)) + time.Microsecond
	for range rapid.IntRange(2, 4).Draw(t, "servers") {
		length := w.length
		if w.chance.IntN(3) == 0 {
			length = w.length / 2
		}
		w.start(1+worst*rapid.SampledFrom([]float64{-1, 0, 1}).Draw(t, "rate"), length)
	}
	return w
}

// disturb makes n faults within that time.
func (w *world) disturb(n int, within time.Duration) {
	for range n {
		w.after(time.Duration(w.chance.Int64N(int64(within))), w.harm)
	}
	w.run(w.now + within)
}

// Two servers never both give out music: whatever the network delays, loses and keeps apart, whoever stands still, sleeps, stops
// or dies, whichever registers are away or come back empty, and however clocks are set.
func TestRight_Property_OneGives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, 1, 2, 3, 3, 3, 5)
		w.disturb(rapid.IntRange(0, 40).Draw(t, "faults"), 20*w.length)
		if w.wrong != "" {
			t.Fatal(w.wrong)
		}
	})
}

// If most registers answer, and the leader is gone, another server leads within a length, two margins, and the time of some
// messages; with several standbys, of which each may get too little at first, within half a length more.
func TestRight_Property_OneLeads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, 1, 3, 3)
		w.disturb(rapid.IntRange(0, 10).Draw(t, "faults"), 5*w.length)
		w.faults = false
		w.run(w.now + 20*w.length) // what was lost, cut off or asleep is back
		if len(w.registers) > 1 && rapid.Bool().Draw(t, "one is away") {
			w.registers[w.chance.IntN(len(w.registers))].away = true
			w.run(w.now + time.Duration(w.chance.Int64N(int64(3*w.length))))
		}
		leader := w.leader(t)
		leader.dead = true
		w.run(w.now + (leader.length+2*w.margin)*10/9 + w.length/20 + w.length/2)
		if w.wrong != "" {
			t.Fatal(w.wrong)
		}
		if next := w.leader(t); next == leader {
			t.Fatal("the dead one leads")
		}
	})
}

// Registers go away, one at a time, and come back, some of them empty. That ends no leadership.
func TestRight_Property_OneRegisterAway(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, 3)
		w.faults = false
		w.run(5 * w.length)
		leader := w.leader(t)
		term := leader.state.Term()
		w.each(func() {
			if !leader.leads() || leader.state.Term() != term {
				w.wrong = fmt.Sprintf("%v: %s leads no longer", w.now, leader.name)
			}
		})
		for range rapid.IntRange(1, 10).Draw(t, "failures") {
			r := w.registers[w.chance.IntN(len(w.registers))]
			r.away = true
			w.run(w.now + w.upTo(5*w.length))
			r.away = false
			if w.chance.IntN(2) == 0 {
				r.claims = nil
				w.run(w.now + 2*w.length) // so long it must not be used
			}
			w.run(w.now + w.length)
		}
		if w.wrong != "" {
			t.Fatal(w.wrong)
		}
	})
}

// each calls do all the time.
func (w *world) each(do func()) {
	do()
	w.after(w.length/100, func() { w.each(do) })
}

// leader returns the one that leads now.
func (w *world) leader(t *rapid.T) (leader *server) {
	for _, s := range w.servers {
		if !s.leads() {
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
	s := New(Config{Self: "one", Registers: 1, Length: time.Second, Longest: time.Second, Margin: 10 * time.Millisecond, Renew: 200 * time.Millisecond})
	at := func(ms int) Moment {
		return Moment{Steady: time.Duration(ms) * time.Millisecond, Wall: time.Duration(ms) * time.Millisecond}
	}
	for _, in := range []struct {
		ms    int
		input any
		leads bool
	}{
		{100, Seen{Number: 1, Claim: &messages.LeaseClaim{Holder: "other", Released: true}}, false},
		{110, Kept{Try: 1, Number: 2}, true},
		{300, Look{}, true}, // it sends the second claim
		{310, Fallen{}, false},
		{320, Kept{Try: 2, Number: 3}, false},
		{1300, Look{}, false},
		{1800, Look{}, false},
	} {
		if s, _ = s.Step(at(in.ms), in.input); s.Term() > 0 != in.leads {
			t.Errorf("after %T at %d ms it leads: %v, want %v", in.input, in.ms, s.Term() > 0, in.leads)
		}
	}
	s, out := s.Step(at(1900), Look{})
	if len(out) != 1 {
		t.Fatalf("nobody has claimed the lead, and it does %v", out)
	}
	if _, claims := out[0].(Publish); !claims {
		t.Errorf("nobody has claimed the lead, and it does %v", out)
	}
	if s, _ = s.Step(at(1910), Kept{Try: 3, Number: 4}); s.Term() == 0 {
		t.Error("it never leads again")
	}
}
