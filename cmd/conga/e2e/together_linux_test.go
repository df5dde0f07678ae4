package e2e

import (
	"flag"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"conga/cmd/internal/congatest"
)

var (
	together       = flag.Duration("together", 0, "how long TestTogether listens each time; 0: not at all (make together)")
	togetherCases  = flag.String("together.cases", "row", "what is measured, in this order, divided by commas: "+caseNames()+"; or all")
	togetherChain  = flag.Int("together.chain", 100, "length of the chain of the case chain")
	togetherSpins  = flag.String("together.spin", "0", "how many processors something else keeps busy, one number for each round")
	togetherStarts = flag.Int("together.starts", 1, "how often all of them start anew")
	togetherBounds = flag.Bool("together.bounds", false, "what is worse than promised is a failure")
)

const (
	// echo is how many milliseconds apart two may be in the median on any machine, even in a test that has no bounds.
	echo = 5
	// settled is from when on after joining the figures count.
	settled = 2 * time.Second
)

// staging is how a case is prepared and what happens in it.
type staging struct {
	name  string
	about string
	songs func(t *testing.T) string // nil: those of the repository
	// loud is how many listeners are heard, and between how many others stand between the first and the next.
	loud, between int
	crowd         bool // those between are in this process, and as many as -together.chain says
	once          bool // it starts once, and is as long as all starts of the others
	// during are the moments, as shares of the time, at which something happens.
	during map[float64]func(*stage)
}

// stagings are the cases with conga's own listeners. The others are Snapcast's, and a recorder that takes large bites.
var stagings = []staging{
	{name: "row", about: "two in a row", loud: 2},
	{name: "three", about: "three in a row", loud: 3},
	{name: "chain", about: "the first and the last of a chain", loud: 2, crowd: true},
	{name: "change", about: "songs of 44.1 and 48 kHz in turn", songs: songsInTurn, loud: 2},
	{name: "splice", about: "the node between them is killed", loud: 2, between: 2, during: map[float64]func(*stage){0.5: (*stage).killOne}},
	{name: "restart", about: "the server is killed and started again", loud: 2, during: map[float64]func(*stage){0.5: (*stage).restart}},
	{
		name: "evening", about: "songs in turn, three splices, a restart", songs: songsInTurn, loud: 2, between: 3, once: true,
		during: map[float64]func(*stage){0.2: (*stage).killOne, 0.4: (*stage).killOne, 0.6: (*stage).killOne, 0.8: (*stage).restart},
	},
}

func caseNames() string {
	var names []string
	for _, s := range stagings {
		names = append(names, s.name)
	}
	return strings.Join(append(names, "snapcast", "coarse"), ",")
}

// songsInTurn is a folder with songs of fifteen seconds at two sample rates.
func songsInTurn(t *testing.T) string {
	return congatest.Songs(t, map[string]congatest.Cut{
		"air.mp3": {From: "bach.mp3", First: 100, N: 575}, "joy.mp3": {From: "beethoven.mp3", First: 60, N: 625},
		"canon.mp3": {From: "pachelbel.mp3", First: 300, N: 575}, "ode.mp3": {From: "beethoven.mp3", First: 700, N: 625},
	})
}

// TestTogether: listeners play through loudspeakers with one clock, and all are recorded. It says by how much each is
// behind the first, in milliseconds (negative: ahead), and in the end all in one table.
func TestTogether(t *testing.T) {
	if *together == 0 {
		t.Skip("real sound in real time: make together")
	}
	cases := *togetherCases
	if cases == "all" {
		cases = caseNames()
	}
	var table []measured
	for _, spin := range strings.Fields(*togetherSpins) {
		busy, err := strconv.Atoi(spin)
		if err != nil {
			t.Fatalf("-together.spin %q: numbers, with spaces between", *togetherSpins)
		}
		for _, name := range strings.Split(cases, ",") {
			t.Run(fmt.Sprintf("%s, %d busy", name, busy), func(t *testing.T) {
				keepBusy(t, busy)
				m := measured{name: name, busy: busy}
				switch at := slices.IndexFunc(stagings, func(s staging) bool { return s.name == name }); {
				case at >= 0:
					stagings[at].measure(t, &m)
				case name == "snapcast":
					snapcast(t, &m)
				case name == "coarse":
					coarse(t, &m)
				default:
					t.Fatalf("no case %q: %s", name, caseNames())
				}
				m.load = load()
				table = append(table, m)
				t.Logf("from %v after joining: %s", settled, m)
			})
		}
	}
	t.Logf("from %v after joining, in milliseconds:\n%s", settled, tabled(table))
	for _, m := range table { // only now, so that the table is not among what the programs have said
		if wrong := m.wrong(*togetherBounds); wrong != "" {
			t.Errorf("%s, %d busy: %s", m.name, m.busy, wrong)
		}
	}
}

func (s staging) measure(t *testing.T, m *measured) {
	m.about = s.about
	if s.crowd {
		m.about = fmt.Sprintf("nodes 1 and %d of a chain", *togetherChain)
		s.between = max(0, *togetherChain-2)
	}
	startSinks(t)
	songs := filepath.Join("..", "..", "..", "songs")
	if s.songs != nil {
		songs = s.songs(t)
	}
	stage := &stage{t: t, songs: songs, data: t.TempDir()}
	stage.server = launchServer(t, stage.songs, stage.data, "--listen", quietPair(t))
	starts, long := *togetherStarts, *together
	if s.once {
		starts, long = 1, long*time.Duration(starts)
	}
	for start := range starts {
		first := joinLoud(t, stage.server, "first", sides[0])
		end := stage.fill(s)
		first.hears(t)
		tape := record(t, "all.monitor", 2*len(sides))
		var others []*process
		for n := 1; n < s.loud; n++ {
			others = append(others, joinLoud(t, stage.server, fmt.Sprint("loud", n), sides[n]))
		}
		tape.awaitSound(t, 2*(s.loud-1))
		stage.inOrder(s.loud + s.between)
		stage.happen(tape, s.during, long)
		sound := tape.stop()
		for _, p := range append(others, first) {
			p.kill()
		}
		end()
		for n := 1; n < s.loud; n++ {
			skews, from := compareSides(tape.channel(sound, 0), tape.channel(sound, 2*n))
			t.Logf("start %d, listener %d: heard %.2f s after the recording began; %s", start+1, n+1, float64(from)/sinkRate, byTens(skews))
			m.add(skews)
		}
	}
}

// happen lets pass so much recorded sound, with what happens at its moments.
func (s *stage) happen(tape *tape, during map[float64]func(*stage), long time.Duration) {
	from := tape.recorded()
	var moments []float64
	for at := range during {
		moments = append(moments, at)
	}
	slices.Sort(moments)
	for _, at := range moments {
		tape.await(s.t, from+time.Duration(at*float64(long)))
		during[at](s)
	}
	tape.await(s.t, from+long)
}

// measured is what came out of a case.
type measured struct {
	name, about, load string
	busy              int
	skews             []float64
	longest           time.Duration // without a break more than a millisecond apart
	said              string        // instead of figures
	free              bool          // another program's: nothing was promised
}

func (m *measured) add(skews []float64) {
	skews = skews[min(len(skews), int(settled.Seconds()*sinkRate/window)):]
	m.skews = append(m.skews, skews...)
	run := 0
	for _, skew := range skews {
		if math.Abs(skew) > 1 {
			run++
			m.longest = max(m.longest, time.Duration(run)*time.Second*window/sinkRate)
		} else if !math.IsNaN(skew) {
			run = 0
		}
	}
}

// promised are the bounds: of the median, of p99, and of the time that two are more than a millisecond apart.
func (m measured) promised() (median, p99 float64, apart time.Duration) {
	if m.busy > 0 {
		return 1, 5, time.Hour
	}
	return 0.1, 1, 2 * time.Second
}

// wrong says what is worse than promised; without bounds, only what is an echo.
func (m measured) wrong(bounds bool) string {
	q := quantiles(m.skews)
	median, p99, apart := m.promised()
	switch {
	case m.said != "":
		return ""
	case q == nil:
		return "nothing was heard"
	case m.free:
		return ""
	case !bounds && q[0] >= echo:
		return fmt.Sprintf("%.3f ms apart, that is an echo", q[0])
	case !bounds:
		return ""
	case q[0] > median:
		return fmt.Sprintf("FAILS: the median is %.3f ms, promised are %v", q[0], median)
	case q[2] > p99:
		return fmt.Sprintf("FAILS: p99 is %.3f ms, promised is %v", q[2], p99)
	case m.longest > apart:
		return fmt.Sprintf("FAILS: more than 1 ms apart for %v, promised are %v", m.longest, apart)
	}
	return ""
}

func (m measured) String() string {
	q := quantiles(m.skews)
	if m.said != "" || q == nil {
		return m.said
	}
	return fmt.Sprintf("median %.3f, p90 %.3f, p99 %.3f, most %.3f ms in %d windows, %d of them unlike (load %s)", q[0], q[1], q[2], q[3], len(m.skews), m.unlike(), m.load)
}

// unlike is in how many windows the two do not sound alike, because one is silent or moves its sound.
func (m measured) unlike() (n int) {
	for _, skew := range m.skews {
		if math.IsInf(skew, 0) {
			n++
		}
	}
	return n
}

func tabled(table []measured) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%-9s %-40s %4s %8s %8s %8s %8s %9s %6s %6s\n", "case", "", "busy", "median", "p90", "p99", "most", ">1 ms for", "unlike", "load")
	for _, m := range table {
		q := quantiles(m.skews)
		if m.said != "" || q == nil {
			fmt.Fprintf(&out, "%-9s %-40s %4d %s\n", m.name, m.about, m.busy, m.said)
			continue
		}
		fmt.Fprintf(&out, "%-9s %-40s %4d %8.3f %8.3f %8.3f %8.3f %7.1f s %6d %6s %s\n", m.name, m.about, m.busy, q[0], q[1], q[2], q[3], m.longest.Seconds(), m.unlike(), m.load, m.wrong(true))
	}
	return out.String()
}
