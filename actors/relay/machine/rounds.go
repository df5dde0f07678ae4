package machine

import (
	"time"

	"conga/actors/relay/search"
	"conga/messages"
)

const (
	// Patience is how long an ancestor may take to answer before the next one is asked, too: a
	// frozen process accepts connections and never answers.
	Patience = 40 * time.Millisecond
	// blameless is how long after blaming a node for a slow link this node blames no other: if
	// every upstream looks slow to a node, its own line is slow.
	blameless = 10 * time.Second
	// mostSlow is how often an ancestor gets that time again, because this node was slow itself.
	mostSlow = 3
	// askAgain is the wait before others are asked again for earlier music. It doubles each time
	// that this was in vain.
	askAgain = time.Second
	// climb is how long a node is fed by another than its first choice before it tries that again. It
	// doubles each time that this was in vain.
	climb = 5 * time.Second
	// doublings bounds how often these waits double. hungerDoublings bounds it for the wait between
	// two rounds in which all are asked for music: when music is back, it must be found within some
	// seconds.
	doublings, hungerDoublings = 5, 1
)

// rounds remembers when the relay last did what it must not do too often.
type rounds struct {
	searching bool      // the timer of the search is set
	due       time.Time // when it is to fire, at the latest
	slow      int       // how often in a row it was late

	epoch           uint64    // the upstream's, as it said itself
	asked, reviewed time.Time // when others were asked for music; when the first choice was tried again
	hungers, climbs int       // how often that was done since
	lates           int       // how often others were asked in vain for earlier music
	blamed          time.Time // when a node was blamed for a slow line
}

// fed begins again with another upstream.
func (r *rounds) fed(now time.Time) {
	r.searching = false
	r.reviewed = now
	r.hungers, r.lates = 0, 0
}

// tooSlow reports whether the search goes on so late that this node has no time for its ancestors' answers. Not more than
// mostSlow times in a row, because nothing must keep a node from finding music.
func (r *rounds) tooSlow(now time.Time) bool {
	if now.Sub(r.due) <= Patience || r.slow == mostSlow {
		r.slow = 0
		return false
	}
	r.slow++
	return true
}

// look asks others for the music if the upstream has none or has it late. If the upstream is not
// the first choice, it tries that again from time to time. The upstream is kept until another
// does better. But an upstream that is no longer an ancestor is kept only while music comes from it:
// two nodes that learn at different times that they have changed places may feed each other.
func (m *Machine) look() {
	now, r := m.now.Own, &m.rounds
	m.endTrials(m.arrival.glanced(now, m.now.Server))
	if m.state.Upstream == nil {
		return
	}
	hungry := m.arrival.hungry(now)
	if hungry && !m.state.Listed() {
		m.closed(&messages.LinkClosed{
			Link: m.state.Upstream.Number, Reason: "it is no longer an ancestor, and sends no music",
		})
		return
	}
	late := m.arrival.late()
	switch {
	case hungry:
		if now.Sub(r.asked) >= m.arrival.starving()<<min(r.hungers, hungerDoublings) {
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
	case now.Sub(r.reviewed) >= climb<<min(r.climbs, doublings) && now.Sub(r.blamed) >= blameless: // otherwise a slow one could not be left again
		r.climbs++
		r.reviewed = now
		m.decide(&messages.SearchOn{Why: messages.SearchOn_WHY_NEARER, AtUnixUs: m.now.Server})
	}
}

// askOthers looks for a node that does better than the upstream.
func (m *Machine) askOthers(why messages.SearchOn_Why) {
	m.rounds.asked = m.now.Own
	m.decide(&messages.SearchOn{Why: why, AtUnixUs: m.now.Server})
}

// exhausted ends a round in which no ancestor could serve.
func (m *Machine) exhausted(event *messages.SearchExhausted) {
	switch {
	case m.state.Upstream == nil:
		m.searchAfter(search.RetryAfter(event.GetSearches()), true)
	case !m.arrival.hungry(m.now.Own):
		m.arrival.settle(m.now.Own)
	case m.state.Least > 0 && m.arrival.starved(m.now.Own).Microseconds() >= search.Famine:
		m.rounds.asked = time.Time{} // so that at the next glance a hole is accepted
	}
}
