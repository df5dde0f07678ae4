package transport

import (
	"crypto/hmac"
	"crypto/sha256"

	"conga/messages"
)

// Pass is a secret that all members of a broadcast with a token share. The server gives it to
// each in its Welcome, inside TLS. It is never sent on stream connections: a HI or OF proves
// with an HMAC that the sender has it, to one node and for a minute, so overhearing one is of
// no use. An empty Pass lets everybody in.
type Pass []byte

// openHouse returns the pass of a node that serves everybody.
func openHouse() (Pass, error) { return nil, nil }

var errStranger = &refused{
	messages.StreamOpened_REFUSAL_STRANGER, "only members of this broadcast are served here: join at its server, with its token",
}

// prove returns the proof that the sender of a has the pass; nil if there is no pass.
func (p Pass) prove(a asking) []byte {
	if len(p) == 0 {
		return nil
	}
	mac := hmac.New(sha256.New, p)
	mac.Write(statement("pass "+a.use, a.parts()...))
	return mac.Sum(nil)
}

// check returns errStranger unless proof was made with the pass.
func (p Pass) check(a asking, proof []byte) error {
	if len(p) > 0 && !hmac.Equal(proof, p.prove(a)) {
		return errStranger
	}
	return nil
}
