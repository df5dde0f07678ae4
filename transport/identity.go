package transport

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"io"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"conga/messages"
)

// refused is a no that a peer is told: it is no fault of this node's.
type refused struct {
	why   messages.StreamOpened_Refusal
	words string
}

func (r *refused) Error() string { return r.words }

// refusal is never NONE: also a peer of another version has refused.
func (r *refused) refusal() messages.StreamOpened_Refusal {
	if r.why == messages.StreamOpened_REFUSAL_NONE {
		return messages.StreamOpened_REFUSAL_OTHER
	}
	return r.why
}

// Identity is who a node is: an ed25519 key, and the id that follows from its public half.
// An id alone is no secret; only who has the key can speak for it.
type Identity struct {
	id  string
	key ed25519.PrivateKey
}

// NewIdentity is a listener that nobody has met before.
func NewIdentity() *Identity {
	_, key, _ := ed25519.GenerateKey(rand.Reader) // crypto/rand does not fail
	return IdentityOf(key)
}

// IdentityOf is the listener that has the key.
func IdentityOf(key ed25519.PrivateKey) *Identity {
	return &Identity{id: idOf(key.Public().(ed25519.PublicKey)), key: key}
}

// ID is a uuid.
func (i *Identity) ID() string { return i.id }

func (i *Identity) public() ed25519.PublicKey { return i.key.Public().(ed25519.PublicKey) }

// node is the node with the key that its words can be checked with. Its id becomes this one.
func (i *Identity) node(n *messages.Node) *messages.Node {
	if n == nil {
		n = &messages.Node{}
	}
	n = proto.CloneOf(n)
	n.Id, n.Key = i.id, i.public()
	return n
}

// idOf makes the id of a public key: a uuid of version 8 (RFC 9562), 122 bits of SHA-256.
// To speak in another's name takes a key with the same bits: 2^122 tries.
func idOf(key ed25519.PublicKey) string {
	sum := sha256.Sum256(append([]byte("conga id 1\x00"), key...))
	id := uuid.UUID(sum[:16])
	id[6] = id[6]&0x0f | 0x80 // version 8
	id[8] = id[8]&0x3f | 0x80 // the variant of RFC 9562
	return id.String()
}

// ownKey is the key that the node names, or nil if its id is not made from that.
func ownKey(n *messages.Node) ed25519.PublicKey {
	key := ed25519.PublicKey(n.GetKey())
	if len(key) != ed25519.PublicKeySize || idOf(key) != n.GetId() {
		return nil
	}
	return key
}

// The uses of a listener's key. A signature for one means nothing in another.
const (
	useHello    = "hello"    // HELLO, over this TLS connection's exporter
	useOpen     = "open"     // HI, over who asks whom, when, and a nonce
	useOffer    = "offer"    // OF, likewise
	useIdentity = "identity" // ID, over whose port it is and the asker's nonce
)

// statement is what is signed: the use and the parts, no two lists of which are the same bytes.
func statement(use string, parts ...[]byte) []byte {
	s := append([]byte("conga "), use...)
	s = append(s, " 1\x00"...)
	for _, part := range parts {
		s = binary.AppendUvarint(s, uint64(len(part)))
		s = append(s, part...)
	}
	return s
}

func (i *Identity) sign(use string, parts ...[]byte) []byte {
	return ed25519.Sign(i.key, statement(use, parts...))
}

// signed says whether the key's owner has made the statement.
func signed(key ed25519.PublicKey, signature []byte, use string, parts ...[]byte) bool {
	return len(key) == ed25519.PublicKeySize && len(signature) == ed25519.SignatureSize &&
		ed25519.Verify(key, statement(use, parts...), signature)
}

// nonceSize is how much chance a HI holds.
const nonceSize = 16

func nonce() []byte {
	b := make([]byte, nonceSize)
	_, _ = io.ReadFull(rand.Reader, b) // crypto/rand does not fail
	return b
}

// asking is what HI and OF have in common: who speaks to whom, when, and chance.
type asking struct {
	use       string
	from      *messages.Node
	to        string
	atUnixUs  int64
	nonce     []byte
	signature []byte
}

func (a asking) parts() [][]byte {
	return [][]byte{
		[]byte(a.from.GetId()), []byte(a.to), binary.BigEndian.AppendUint64(nil, uint64(a.atUnixUs)), a.nonce,
	}
}

func askingOf(open *messages.OpenStream) asking {
	return asking{
		use: useOpen, from: open.GetNode(), to: open.GetUpstream(),
		atUnixUs: open.GetAtUnixUs(), nonce: open.GetNonce(), signature: open.GetSignature(),
	}
}

// offeringOf: an offer does not name whom it is for, that is whoever got it.
func offeringOf(offer *messages.OfferStream, to string) asking {
	return asking{
		use: useOffer, from: offer.GetNode(), to: to,
		atUnixUs: offer.GetAtUnixUs(), nonce: offer.GetNonce(), signature: offer.GetSignature(),
	}
}

// SignOpen makes the HI this identity's, said now to open.Upstream.
func (i *Identity) SignOpen(open *messages.OpenStream, nowUs int64) {
	open.Node, open.AtUnixUs, open.Nonce = i.node(open.GetNode()), nowUs, nonce()
	open.Signature = i.sign(useOpen, askingOf(open).parts()...)
}

// signOffer makes the OF this identity's, said now to the node.
func (i *Identity) signOffer(offer *messages.OfferStream, to string, nowUs int64) {
	offer.Node, offer.AtUnixUs, offer.Nonce = i.node(offer.GetNode()), nowUs, nonce()
	offer.Signature = i.sign(useOffer, offeringOf(offer, to).parts()...)
}

// wordsAge is how far the time of a HI or an OF may be from the checking node's.
const wordsAge = 60 * 1000 * 1000 // microseconds

var (
	errForged = &refused{messages.StreamOpened_REFUSAL_STRANGER, "the signature does not match the node's id"}
	errNotMe  = &refused{messages.StreamOpened_REFUSAL_STRANGER, "the request is for another node than this one"}
	errStale  = &refused{messages.StreamOpened_REFUSAL_STALE, "the request is more than a minute old, or a clock is wrong"}
)

// timely says why the words are not for the node `self` now. It costs nothing.
func (a asking) timely(self string, nowUs int64) error {
	switch {
	case a.to != self:
		return errNotMe
	case a.atUnixUs < nowUs-wordsAge || a.atUnixUs > nowUs+wordsAge:
		return errStale
	}
	return nil
}

// genuine says why the words are not those of the key's owner. It costs some 50 µs.
func (a asking) genuine(key ed25519.PublicKey) error {
	if len(a.nonce) != nonceSize || !signed(key, a.signature, a.use, a.parts()...) {
		return errForged
	}
	return nil
}
