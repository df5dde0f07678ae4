package machine

import (
	"time"

	"conga/actors/relay/search"
	"conga/messages"
)

const (
	// Patience is how long an ancestor may take to answer before the next one is
	// asked too: a frozen process accepts connections and never answers.
	Patience = 40 * time.Millisecond
	// blameless is how long nobody is blamed for a slow link after somebody was: if every
	// upstream looks slow to a node, its own line is slow.
	blameless = 10 * time.Second
	// askAgain is how long others are not asked again for earlier music; each time in vain
	// doubles the wait.
	askAgain = time.Second
	// climb is how long a node is fed by another than its first choice before it tries
	// that again; each time in vain doubles the wait.
	climb = 5 * time.Second
	// doublings bounds that wait, hungerDoublings that between two rounds in which all are asked
	// for music: when music is back, it must be found within some seconds.
	doublings, hungerDoublings = 5, 1
)

// rounds remembers when the relay did what it does not do too often.
type rounds struct {
	searching bool // the timer of the search is set

	epoch           uint64    // of the upstream, as it said itself
	asked, reviewed time.Time // others for music; the first choice whether it is well
	hungers, climbs int       // how often since
	lates           int       // how often in vain for earlier music
	blamed          time.Time // when a node was blamed for a slow line
}

// fed begins anew with another upstream.
func (r *rounds) fed(now time.Time) {
	r.searching = false
	r.reviewed = now
	r.hungers, r.lates = 0, 0
}

// look asks others for the music if the upstream has none or has it late, and the first
// choice whether it is well again if another feeds. The upstream is kept until one does
// better; but one that is no ancestor any more is kept only while music comes from it. For
// two nodes that learn at different times that they have changed places may feed each other,
// and then nobody else.
func (m *Machine) look() {
	now, r := m.now.Own, &m.rounds
	m.arrival.glanced(now, m.now.Server)
	m.endTrials()
	if m.state.Upstream == nil {
		return
	}
	hungry := m.arrival.hungry(now)
	if hungry && !m.state.Listed() {
		m.closed(&messages.LinkClosed{
			Link: m.state.Upstream.Number, Reason: "it is no ancestor any more, and sends no music",
		})
		return
	}
	late := m.arrival.late()
	switch {
	case hungry:
		if now.Sub(r.asked) >= starving<<min(r.hungers, hungerDoublings) {
			r.hungers++
			m.askOthers(messages.SearchOn_WHY_STARVING)
		}
	case late && now.Sub(r.asked) >= askAgain<<min(r.lates, doublings):
		why := messages.SearchOn_WHY_LATE
		if m.arrival.urgent() && r.lates > 0 {
			why = messages.SearchOn_WHY_URGENT
		}
		r.lates++
		m.askOthers(why)
	case late || len(m.state.Seeking) > 0:
	case now.Sub(r.reviewed) >= climb<<min(r.climbs, doublings) && now.Sub(r.blamed) >= blameless: // else a slow one could not be left again
		r.climbs++
		r.reviewed = now
		m.decide(&messages.SearchOn{Why: messages.SearchOn_WHY_NEARER, AtUnixUs: m.now.Server})
	}
}

// askOthers looks for somebody who does better than the upstream.
func (m *Machine) askOthers(why messages.SearchOn_Why) {
	m.rounds.asked = m.now.Own
	m.decide(&messages.SearchOn{Why: why, AtUnixUs: m.now.Server})
}

// exhausted is the end of a round of questions that found nobody.
func (m *Machine) exhausted(event *messages.SearchExhausted) {
	switch {
	case m.state.Upstream == nil:
		m.searchAfter(search.RetryAfter(event.GetSearches()), true)
	case !m.arrival.hungry(m.now.Own):
		m.arrival.settle(m.now.Own)
	case m.state.Least > 0 && m.arrival.starved(m.now.Own).Microseconds() >= search.Famine:
		m.rounds.asked = time.Time{} // what others have, with a hole, is taken at the next glance
	}
}
