package machine

import (
	"crypto/ed25519"
	"slices"

	"conga/messages"
)

// welcome takes from WELCOME the key that proves the music, and which broadcast it is.
func (m *Machine) welcome(msg *messages.Welcome) {
	m.arrival.serverBack(m.now.Own)
	up := m.state.Upstream
	if key := keyIn(msg, m.flow.key); !key.Equal(m.flow.key) {
		if err := m.flow.trust(key); err != nil && up != nil {
			m.judge(up.Number, err)
		}
	}
	known := m.epoch
	anew := m.Adopt(msg)
	up = m.state.Upstream
	if anew {
		m.begunAnew()
	} else if up != nil && up.Node.ID == messages.ServerID && known != m.epoch && m.rounds.epoch != m.epoch {
		m.closed(&messages.LinkClosed{Link: up.Number, Ending: messages.Ending_ENDING_OWN, Reason: "another server has taken over"})
	}
}

// begunAnew closes all links after the flow has forgotten what was heard, because they were asked for numbers
// of the old broadcast.
func (m *Machine) begunAnew() {
	m.effect(BegunAnew{})
	m.closeAll("the server began another broadcast")
}

// closeAll closes the links that are open or were asked, without blaming anybody.
func (m *Machine) closeAll(reason string) {
	links := slices.Clone(m.state.Seeking)
	if m.state.Upstream != nil {
		links = append(links, *m.state.Upstream)
	}
	for _, link := range links {
		m.closed(&messages.LinkClosed{Link: link.Number, Reason: reason, Ending: messages.Ending_ENDING_OWN})
	}
}

// keyIn returns the server's key in its WELCOME, or the one known before if there is none.
func keyIn(msg *messages.Welcome, known ed25519.PublicKey) ed25519.PublicKey {
	if key := ed25519.PublicKey(msg.GetKey()); len(key) == ed25519.PublicKeySize {
		return key
	}
	return known
}

// Adopt takes over which broadcast this is. Only the server's WELCOME, inside its own TLS connection,
// counts. If the server's log was restored from a copy, it does not continue from what this node has: then
// the node begins anew, and so do all that read from it. An epoch below one that was heard shows such a
// log, too: within one log epochs only grow.
//
// A relay that is ending calls it, too, so that the window is emptied for the next relay.
func (m *Machine) Adopt(msg *messages.Welcome) (anew bool) {
	m.epoch = msg.GetEpoch()
	anew = m.flow.next > 0 && (msg.GetAnew() && m.epoch != m.flow.epoch || m.epoch < m.flow.epoch)
	if anew {
		m.flow.restart(msg.GetEpoch())
	}
	return anew
}
