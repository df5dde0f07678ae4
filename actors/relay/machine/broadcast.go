package machine

import (
	"crypto/ed25519"
	"slices"

	"conga/messages"
)

// welcome takes the key that proves the music, and the server's word about the broadcast.
func (m *Machine) welcome(msg *messages.Welcome) {
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

// begunAnew asks for the newest, once the flow has forgotten what was heard: all were asked for
// what does not come any more.
func (m *Machine) begunAnew() {
	m.effect(BegunAnew{})
	m.closeAll("the broadcast is another one")
}

// closeAll goes on without the links that stand or were asked. Nobody is to blame for that.
func (m *Machine) closeAll(reason string) {
	links := slices.Clone(m.state.Seeking)
	if m.state.Upstream != nil {
		links = append(links, *m.state.Upstream)
	}
	for _, link := range links {
		m.closed(&messages.LinkClosed{Link: link.Number, Reason: reason, Ending: messages.Ending_ENDING_OWN})
	}
}

// keyIn is the server's key in its welcome, or the one known before if it has none.
func keyIn(msg *messages.Welcome, known ed25519.PublicKey) ed25519.PublicKey {
	if key := ed25519.PublicKey(msg.GetKey()); len(key) == ed25519.PublicKeySize {
		return key
	}
	return known
}

// Adopt believes the server's word, inside its own TLS connection, about which broadcast
// this is; nobody else's counts. The log of a server that was restored from a copy does not
// go on from what this node has: then the node begins anew, and so do all who read from it.
// An epoch below one that was heard is such a log, too: within one log they only grow.
//
// A machine that takes nothing else any more adopts, too: the window is then emptied for the next.
func (m *Machine) Adopt(msg *messages.Welcome) (anew bool) {
	m.epoch = msg.GetEpoch()
	anew = m.flow.next > 0 && (msg.GetAnew() && m.epoch != m.flow.epoch || m.epoch < m.flow.epoch)
	if anew {
		m.flow.restart(msg.GetEpoch())
	}
	return anew
}
