package machine

import (
	"maps"
	"slices"
	"time"

	"conga/actors/relay/search"
	"conga/messages"
)

// opening is an ancestor that answered while another feeds. It takes over when it sends the newest item,
// and not before: an upstream without music would be no gain. It need not be the first to send it: a
// node between this one and its present upstream never is. It may also be some items behind, if time
// enough is left then. An ancestor that was asked because the music comes late takes over when it has
// shown that it is ahead. What it says about itself proves nothing, and its line may be as slow.
type opening struct {
	link   uint64
	answer *messages.StreamOpened
	sent   int64 // its newest stamp, on the server's clock; 0: too long ago
	newest uint64
	late   bool
	behind bool // its music has come, but later than it may
	since  time.Time
	kept   []kept // what may be needed: at most keptMost
}

// kept is a seal or an item.
type kept struct {
	seal *messages.Seal
	item *messages.Item
}

// keptMost bounds what is kept from a link: a seal, a song change, and some items.
const keptMost = 4 * search.Ahead

// waited takes an item of a link that may take over.
func (m *Machine) waited(o *opening, item *messages.Item, sent int64) {
	if sent > 0 || !o.late {
		o.sent = sent
	}
	old := item.Number < m.flow.next
	if old && item.Change == nil { // it has come from the upstream
		switch {
		case o.late:
		case m.inTime(item):
			m.connect(o, m.flow.next)
		case !o.behind:
			o.behind, o.since = true, m.now.Own
		}
		return
	}
	if o.kept = append(o.kept, kept{item: item}); len(o.kept) > keptMost {
		m.closed(&messages.LinkClosed{Link: o.link, Ending: messages.Ending_ENDING_EMPTY, Reason: "it sends music that is not needed yet"})
		return
	}
	switch {
	case old:
	case !o.late:
		m.connect(o, item.Number)
	case item.Number >= m.flow.next+search.Ahead:
		o.newest = item.Number
		m.connect(o, m.flow.next)
	}
}

// inTime reports whether a node whose newest item that is may feed this one, which has it already. It may if that is the newest
// here, too. It may also be fewer than search.Ahead items behind, so that the upstream that is left would not take over again, if
// the way over it takes at most half of what the repair of a silent death leaves of the slack: nobody here knows how many
// stand below, and they become as late. In a line that is too long for its slack so many nodes stay with the server as it takes to
// be heard (cmd/conga-chaos/results).
func (m *Machine) inTime(chunk *messages.Item) bool {
	behind, song := m.flow.next-1-chunk.Number, m.flow.song
	if behind == 0 {
		return true
	}
	if behind >= search.Ahead || song == nil || chunk.Number <= song.GetNumber() {
		return false
	}
	at := messages.Item{Song: song, FirstFrame: chunk.FirstFrame}
	takes := at.Slack() - time.Duration(at.PlayAt()-m.now.Server)*time.Microsecond
	return 2*takes <= at.Slack()-messages.MarginNeeded(at.Slack())
}

// keepSeal keeps a seal, which stands before the items that it covers. It drops a seal that covers none.
func (o *opening) keepSeal(s *messages.Seal) {
	if n := len(o.kept); n > 0 && o.kept[n-1].seal != nil {
		o.kept = o.kept[:n-1]
	}
	o.kept = append(o.kept, kept{seal: s})
}

// endTrials gives up the links that have not shown in time that they are ahead, or not too far behind. The time for which
// this node did not run does not count.
func (m *Machine) endTrials(stood time.Duration) {
	for _, number := range slices.Sorted(maps.Keys(m.waiting)) {
		o := m.waiting[number]
		if o != nil {
			o.since = earlier(m.now.Own, o.since.Add(stood)) // it may have begun only after that
		}
		if o == nil || !o.late && !o.behind || m.now.Own.Sub(o.since) <= trial {
			continue
		}
		reason := "it does not have the music earlier"
		if o.behind {
			reason = "its music would come too late"
		}
		m.closed(&messages.LinkClosed{Link: number, Ending: messages.Ending_ENDING_EMPTY, Reason: reason})
	}
}

// fallBack turns to a link that has answered already, when the upstream is lost.
func (m *Machine) fallBack() {
	for len(m.waiting) > 0 && m.state.Upstream == nil {
		m.connect(m.waiting[slices.Min(slices.Collect(maps.Keys(m.waiting)))], 0)
	}
}
