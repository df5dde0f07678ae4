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

// refused is a refusal that is sent to a peer. It is no fault of the node that sends it.
type refused struct {
	why   messages.StreamOpened_Refusal
	words string
}

func (r *refused) Error() string { return r.words }

// refusal is never NONE: a peer of another version has refused, too.
func (r *refused) refusal() messages.StreamOpened_Refusal {
	if r.why == messages.StreamOpened_REFUSAL_NONE {
		return messages.StreamOpened_REFUSAL_OTHER
	}
	return r.why
}

// Identity is a node's ed25519 key and the id that is made from its public half. The id
// is no secret; only the owner of the key can sign for it.
type Identity struct {
	id  string
	key ed25519.PrivateKey
}

// NewIdentity returns an identity with a new key.
func NewIdentity() *Identity {
	_, key, _ := ed25519.GenerateKey(rand.Reader) // crypto/rand does not fail
	return IdentityOf(key)
}

// IdentityOf returns the identity of the key's owner.
func IdentityOf(key ed25519.PrivateKey) *Identity {
	return &Identity{id: idOf(key.Public().(ed25519.PublicKey)), key: key}
}

// ID returns the id, a uuid.
func (i *Identity) ID() string { return i.id }

func (i *Identity) public() ed25519.PublicKey { return i.key.Public().(ed25519.PublicKey) }

// node returns a copy of n with this identity's id and public key.
func (i *Identity) node(n *messages.Node) *messages.Node {
	if n == nil {
		n = &messages.Node{}
	}
	n = proto.CloneOf(n)
	n.Id, n.Key = i.id, i.public()
	return n
}

// idOf makes the id of a public key: a uuid of version 8 (RFC 9562) with 122 bits of SHA-256.
// To take another's id, somebody would have to find a key with the same bits: 2^122 tries.
func idOf(key ed25519.PublicKey) string {
	sum := sha256.Sum256(append([]byte("conga id 1\x00"), key...))
	id := uuid.UUID(sum[:16])
	id[6] = id[6]&0x0f | 0x80 // version 8
	id[8] = id[8]&0x3f | 0x80 // the variant of RFC 9562
	return id.String()
}

// ownKey returns the key that the node names, or nil if the id is not made from it.
func ownKey(n *messages.Node) ed25519.PublicKey {
	key := ed25519.PublicKey(n.GetKey())
	if len(key) != ed25519.PublicKeySize || idOf(key) != n.GetId() {
		return nil
	}
	return key
}

// The uses of a listener's key. A signature for one use is not valid for another.
const (
	useHello    = "hello"    // HELLO, over this TLS connection's exporter
	useOpen     = "open"     // HI, over who asks whom, when, and a nonce
	useOffer    = "offer"    // OF, likewise
	useIdentity = "identity" // ID, over the port owner's id and the asker's nonce
)

// statement returns the bytes that are signed: the use and the parts, with their lengths, so that different
// lists of parts give different bytes.
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

// signed reports whether the key's owner has signed the statement.
func signed(key ed25519.PublicKey, signature []byte, use string, parts ...[]byte) bool {
	return len(key) == ed25519.PublicKeySize && len(signature) == ed25519.SignatureSize &&
		ed25519.Verify(key, statement(use, parts...), signature)
}

// nonceSize is the length of a nonce in bytes.
const nonceSize = 16

func nonce() []byte {
	b := make([]byte, nonceSize)
	_, _ = io.ReadFull(rand.Reader, b) // crypto/rand does not fail
	return b
}

// asking is what HI and OF have in common: who speaks to whom, when, and a nonce.
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

// offeringOf returns the offer as an asking to the node that received it; an offer itself does not name it.
func offeringOf(offer *messages.OfferStream, to string) asking {
	return asking{
		use: useOffer, from: offer.GetNode(), to: to,
		atUnixUs: offer.GetAtUnixUs(), nonce: offer.GetNonce(), signature: offer.GetSignature(),
	}
}

// SignOpen signs the HI as this identity's request to open.Upstream at nowUs (server's clock, unix
// microseconds).
func (i *Identity) SignOpen(open *messages.OpenStream, nowUs int64) {
	open.Node, open.AtUnixUs, open.Nonce = i.node(open.GetNode()), nowUs, nonce()
	open.Signature = i.sign(useOpen, askingOf(open).parts()...)
}

// signOffer signs the OF as this identity's offer to the node at nowUs.
func (i *Identity) signOffer(offer *messages.OfferStream, to string, nowUs int64) {
	offer.Node, offer.AtUnixUs, offer.Nonce = i.node(offer.GetNode()), nowUs, nonce()
	offer.Signature = i.sign(useOffer, offeringOf(offer, to).parts()...)
}

// wordsAge is how far the time of a HI or an OF may be from the checking node's clock.
const wordsAge = 60 * 1000 * 1000 // microseconds

var (
	errForged = &refused{messages.StreamOpened_REFUSAL_STRANGER, "the signature does not match the node's id"}
	errNotMe  = &refused{messages.StreamOpened_REFUSAL_STRANGER, "the request is for another node than this one"}
	errStale  = &refused{messages.StreamOpened_REFUSAL_STALE, "the request is more than a minute old, or a clock is wrong"}
)

// timely checks that the request is for the node self and recent. It costs next to nothing.
func (a asking) timely(self string, nowUs int64) error {
	switch {
	case a.to != self:
		return errNotMe
	case a.atUnixUs < nowUs-wordsAge || a.atUnixUs > nowUs+wordsAge:
		return errStale
	}
	return nil
}

// genuine checks that the key's owner has signed the request. It takes some 50 µs.
func (a asking) genuine(key ed25519.PublicKey) error {
	if len(a.nonce) != nonceSize || !signed(key, a.signature, a.use, a.parts()...) {
		return errForged
	}
	return nil
}
