package machine

import "conga/messages"

// margin is how long before its time the music arrives.
type margin struct {
	since  int64 // items to be heard before it count for nothing; 0 before the first
	lowest int64 // microseconds
	known  bool
}

// arrived notes an item's play-out time, as it arrives at now; both in microseconds on
// the server's clock. A newcomer is given at once what the server sent before it came:
// that this is close to its time says nothing of the chain.
func (m *margin) arrived(playAt, now int64) {
	if m.since == 0 {
		m.since = now + messages.Slack.Microseconds()
	}
	if left := playAt - now; playAt >= m.since && (!m.known || left < m.lowest) {
		m.lowest, m.known = left, true
	}
}

// lowestMs is nil as long as nothing is known.
func (m *margin) lowestMs() *float64 {
	if !m.known {
		return nil
	}
	ms := float64(m.lowest) / 1000
	return &ms
}
