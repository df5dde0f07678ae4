package transport

import (
	"crypto/hmac"
	"crypto/sha256"

	"conga/messages"
)

// Pass is what the members of a broadcast with a token have in common: the server gives
// it to each in its Welcome, inside TLS. It never travels on stream connections. An
// opening shows that the sender has it, to one node and for a minute, so whoever overhears
// one has nothing. An empty Pass lets everybody in.
type Pass []byte

// openHouse is the pass of a node that serves everybody.
func openHouse() (Pass, error) { return nil, nil }

var errStranger = &refused{
	messages.StreamOpened_REFUSAL_STRANGER, "only members of this broadcast are served here: join at its server, with its token",
}

// prove shows that who asks has the pass; nothing where there is none.
func (p Pass) prove(a asking) []byte {
	if len(p) == 0 {
		return nil
	}
	mac := hmac.New(sha256.New, p)
	mac.Write(statement("pass "+a.use, a.parts()...))
	return mac.Sum(nil)
}

// check refuses words that no member said.
func (p Pass) check(a asking, proof []byte) error {
	if len(p) > 0 && !hmac.Equal(proof, p.prove(a)) {
		return errStranger
	}
	return nil
}
