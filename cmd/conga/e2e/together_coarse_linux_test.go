package e2e

import (
	"fmt"
	"math"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"conga/cmd/internal/congatest"
)

const (
	// coarseLong is how much sound of each start is looked at: what is wrong at the start of a device shows there.
	coarseLong = 6 * time.Second
	// gap is a silence that is not the music's.
	gap = sinkRate / 100
)

// coarse starts a listener again and again on a sink whose recorder takes two seconds at a time, as some devices do, and
// mpv in turn with it. The listener must have no silence in its sound that mpv does not have.
func coarse(t *testing.T, m *measured) {
	m.about = "silences on a sink that takes large bites"
	if _, err := exec.LookPath("mpv"); err != nil {
		m.said = "no mpv: apt-get install mpv"
		return
	}
	startSinks(t)
	dir, song := t.TempDir(), congatest.Long(t, "air.mp3")
	starts := 2 * *togetherStarts
	var ours, theirs silences
	for start := range starts {
		ours.add(t, fmt.Sprintf("start %d, conga", start+1), func() (end func()) {
			server := launchServer(t, song, t.TempDir()) // a new one: its song is at its beginning
			listener := joinLoud(t, server, "loud", "coarse")
			return func() { listener.kill(); server.kill() }
		})
		theirs.add(t, fmt.Sprintf("start %d, mpv", start+1), func() (end func()) {
			return runTool(t, dir, "coarse", "mpv", "--no-config", "--really-quiet", "--ao=pulse", filepath.Join(song, "air.mp3"))
		})
	}
	m.said = fmt.Sprintf("%d starts: conga %v, mpv %v", starts, ours, theirs)
	if ours.starts > theirs.starts {
		m.said += " FAILS: mpv does it with fewer"
		t.Error(m.said)
	}
}

// silences are those in the sound of some starts.
type silences struct {
	starts  int // with any
	longest time.Duration
	unheard int // starts that were not heard at all
}

func (s silences) String() string {
	text := fmt.Sprintf("has silences in %d", s.starts)
	if s.starts > 0 {
		text += fmt.Sprintf(", the longest of %v", s.longest.Round(time.Millisecond))
	}
	if s.unheard > 0 {
		text += fmt.Sprintf(", and was not heard in %d", s.unheard)
	}
	return text
}

func (s *silences) add(t *testing.T, what string, start func() (end func())) {
	t.Helper()
	tape := record(t, "coarse.monitor", 2, "--latency-msec=2000")
	end := start()
	tape.awaitSound(t, 0)
	tape.await(t, tape.recorded()+coarseLong)
	sound := tape.channel(tape.stop(), 0)
	end()
	var found []time.Duration
	last := -1
	for at, sample := range sound {
		if math.Abs(sample) == 0 {
			continue
		}
		if last >= 0 && at-last > gap {
			found = append(found, time.Duration(at-last)*time.Second/sinkRate)
			s.longest = max(s.longest, found[len(found)-1])
		}
		last = at
	}
	if last < 0 {
		s.unheard++
	}
	if len(found) > 0 || last < 0 {
		s.starts++
	}
	t.Logf("%s: silences %v", what, found)
}
