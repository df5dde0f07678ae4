package machine

import "conga/messages"

// margin is the shortest time between the arrival of an item and its play-out.
type margin struct {
	since  int64 // items that were due earlier do not count; 0 before the first
	lowest int64 // microseconds
	known  bool
}

// arrived records that the item arrived at now, in microseconds on the server's clock. The items that a newcomer gets at
// once do not count: the server sent them before it came, so their margins say nothing about the chain.
func (m *margin) arrived(item *messages.Item, now int64) {
	if m.since == 0 {
		m.since = now
	}
	if left := item.PlayAt() - now; item.Due() >= m.since && (!m.known || left < m.lowest) {
		m.lowest, m.known = left, true
	}
}

// lowestMs returns the margin in milliseconds, nil if it is not known yet.
func (m *margin) lowestMs() *float64 {
	if !m.known {
		return nil
	}
	ms := float64(m.lowest) / 1000
	return &ms
}
