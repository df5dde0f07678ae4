package simulate

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"conga/messages/chance"
	"conga/messages/raced"
)

// evening has everything in it: listeners come, say goodbye, are killed and vanish.
func evening(seed uint64) Plan {
	return Plan{
		Nodes: raced.Size(200, 80), For: 2 * time.Minute, Settle: 10 * time.Second, Seed: seed, Stay: 10 * time.Minute, Crashes: 0.5, Silent: 0.5,
		RoundTrip: time.Millisecond, Hop: 30 * time.Microsecond, Uplinks: []int{100_000}, Server: 100_000, Bitrate: 128, Song: time.Minute,
	}
}

// On a fast network a chain of hundreds plays through whatever happens to its members, and the server gives out few streams.
func TestRun_Evening(t *testing.T) {
	dice := rand.New(rand.NewPCG(chance.Seed(t), 0))
	var all Figures
	for all.Goodbyes == 0 || all.Killed == 0 || all.Vanished == 0 || all.Splices == 0 || all.Searches == 0 {
		f, err := Run(t.Context(), evening(dice.Uint64()), nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%+v", f)
		if f.Deaf+f.Twice+f.Anew+f.Underruns+int(f.Late+f.Lost) > 0 || f.WholePart < 1 {
			t.Error("not everybody has heard everything once, and in time")
		}
		if items := f.Listeners * f.Plan.For.Seconds() / (float64(chunkLasts) / 1e6); float64(f.Heard) < 0.9*items {
			t.Errorf("%d items were heard, of about %.0f", f.Heard, items)
		}
		if f.ServerUpload < 128 || f.ServerStreams > 5 {
			t.Errorf("the server gives out %.1f streams, %.0f kbit/s", f.ServerStreams, f.ServerUpload)
		}
		all.Goodbyes += f.Goodbyes
		all.Killed += f.Killed
		all.Vanished += f.Vanished
		all.Splices += f.Splices
		all.Searches += f.Searches
	}
}

// On slow and long lines music comes too late for many; but nobody gets an item twice, all hear again, and none takes the
// broadcast for another. The same plan gives the same figures.
func TestRun_LongLines(t *testing.T) {
	plan := evening(chance.Seed(t))
	plan.Nodes, plan.For = raced.Size(plan.Nodes, 50), raced.Size(plan.For, 30*time.Second)
	plan.RoundTrip, plan.Uplinks = 80*time.Millisecond, []int{200, 1000, 10_000}
	f, err := Run(t.Context(), plan, nil)
	if err != nil {
		t.Fatal(err)
	}
	if f.Deaf+f.Twice+f.Anew > 0 {
		t.Errorf("%+v", f)
	}
	if f.Late == 0 && !raced.On { // few listeners may have fast lines by chance
		t.Error("this plan is too easy to try anything")
	}
	again, err := Run(t.Context(), plan, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(f, again) {
		t.Errorf("the same plan gives\n%+v and\n%+v", f, again)
	}
}

// What was missed is lost, also if the item behind it comes too late.
func TestHeard(t *testing.T) {
	w, l := newWorld(evening(1)), &listener{}
	w.measuring = true
	hear := func(skip int, left int64) {
		for range skip {
			w.air.next()
		}
		item := w.air.next()
		w.now = item.PlayAt() - startsAt - left
		w.heard(l, item)
	}
	const inTime, late = 1_000_000, -300_000
	hear(0, 2_000_000)
	hear(2, late)
	if c := w.count; c.Lost != 2 || c.Late != 1 || c.Underruns != 1 {
		t.Errorf("two items are lost and one is late: %+v", c)
	}
	before := w.count.Heard
	hear(1, inTime)
	hear(0, inTime)
	if c := w.count; c.Lost != 3 || c.Heard != before+2 || c.Underruns != 1 {
		t.Errorf("one more is lost, two are in time: %+v", c)
	}
	if quiet, want := l.books.quiet, 4*chunkLasts; quiet < want-10 || quiet > want+10 {
		t.Errorf("%d µs of silence, want %d: three chunks, and one that is late", quiet, want)
	}
}

// Hundreds that come at once would ask for the time thirty times a second each; together they ask no more often than the server
// wants.
func TestPings(t *testing.T) {
	plan := evening(chance.Seed(t))
	plan.Nodes, plan.Fill, plan.Feed = 300, time.Second, 4
	w := newWorld(plan)
	w.opens()
	w.fills()
	const lasts = 6_000_000
	came := 0
	for w.now < lasts {
		e, _ := w.queue.pop()
		w.now = e.at
		if e.kind == pings {
			came++
		}
		w.happens(e)
	}
	const most = 1000*lasts/1_000_000 + 100 + 2*300 // the first of each comes unasked, and some report
	if came > most || came < most/2 {
		t.Errorf("%d pings, want at most %d", came, most)
	}
}

// Events come in the order of their times, and those of one time in the order in which they were added, whenever that was.
func TestQueue_Order(t *testing.T) {
	dice := rand.New(rand.NewPCG(chance.Seed(t), 0))
	var q queue
	var want, got []string
	var all []event
	now := int64(0)
	add := func() {
		reach := []int64{1, 500, 5_000, 1_000_000, 30_000_000}[dice.IntN(5)]
		e := event{at: now + dice.Int64N(reach)}
		q.push(e)
		e.order = uint64(len(all))
		all = append(all, e)
	}
	for range 1000 {
		add()
	}
	for {
		e, is := q.pop()
		if !is {
			break
		}
		now = e.at
		got = append(got, fmt.Sprint(e.at, " ", e.order-1))
		if len(all) < 5000 {
			add()
		}
	}
	slices.SortStableFunc(all, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	for _, e := range all {
		want = append(want, fmt.Sprint(e.at, " ", e.order))
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d events come out, of %d, or in another order", len(got), len(want))
	}
}

// The mean stay is the plan's, and who is there at a random time stays on for longer than who comes.
func TestChurn(t *testing.T) {
	c := newChurn(rand.New(rand.NewPCG(chance.Seed(t), 0)), 30*time.Minute)
	const n = 200_000
	stays, rests := 0.0, 0.0
	for range n {
		stays += float64(c.stay())
		rests += float64(c.rest())
	}
	if minutes := stays / n / 60e6; minutes < 27 || minutes > 33 {
		t.Errorf("the mean stay is %.1f minutes", minutes)
	}
	if ratio := rests / stays; ratio < 2 { // half of exp(sigma²): 3.5
		t.Errorf("who is there stays on for %.1f times as long", ratio)
	}
}

// The median round trip is the plan's.
func TestWays(t *testing.T) {
	w := newWays(rand.New(rand.NewPCG(chance.Seed(t), 0)), 40*time.Millisecond)
	var trips []float64
	for range 10_001 {
		trips = append(trips, 2*w.spot().to(w.spot()))
	}
	slices.Sort(trips)
	if ms := trips[5000] / 1000; ms < 36 || ms > 44 {
		t.Errorf("the median round trip is %.1f ms", ms)
	}
}
