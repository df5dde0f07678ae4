package transport

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"conga/messages"
)

// Pass is what the members of a broadcast with a token have in common: the server gives
// it to each in its Welcome, inside TLS. It never travels on stream connections. An
// opening shows that the sender has it, to one node and for a minute, so who overhears
// one has nothing. An empty Pass lets everybody in.
type Pass []byte

// openHouse is the pass of a node that serves everybody.
func openHouse() (Pass, error) { return nil, nil }

// passAge is how far a proof's time may be from the checking node's.
const passAge = time.Minute

var errStranger = errors.New("only members of this broadcast are served here: join at its server, with its token")

// mac is what the opening says of who asks whom, and when.
func (p Pass) mac(what, from, to string, atUnixUs int64) []byte {
	mac := hmac.New(sha256.New, p)
	fmt.Fprintf(mac, "conga %s 1 %q %q %d", what, from, to, atUnixUs)
	return mac.Sum(nil)
}

// sign sets the proof of a HI.
func (p Pass) sign(open *messages.OpenStream) {
	if len(p) > 0 {
		open.Proof = p.mac("open", open.GetNode().GetId(), open.GetUpstream(), open.GetPlayAtUnixUs())
	}
}

// signOffer sets the proof of an offer to the node.
func (p Pass) signOffer(offer *messages.OfferStream, to string) {
	if len(p) > 0 {
		offer.Proof = p.mac("offer", offer.GetNode().GetId(), to, offer.GetAtUnixUs())
	}
}

// check refuses a HI to this node that no member said just now.
func (p Pass) check(open *messages.OpenStream, self string, nowUs int64) error {
	return p.judge("open", open.GetNode().GetId(), self, open.GetPlayAtUnixUs(), nowUs, open.GetProof())
}

func (p Pass) checkOffer(offer *messages.OfferStream, self string, nowUs int64) error {
	return p.judge("offer", offer.GetNode().GetId(), self, offer.GetAtUnixUs(), nowUs, offer.GetProof())
}

func (p Pass) judge(what, from, self string, atUs, nowUs int64, proof []byte) error {
	if len(p) == 0 {
		return nil
	}
	age := passAge.Microseconds()
	if !hmac.Equal(proof, p.mac(what, from, self, atUs)) || atUs < nowUs-age || atUs > nowUs+age {
		return errStranger
	}
	return nil
}
