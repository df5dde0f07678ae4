// Package seal proves that music is what the server sent, whoever passed it on.
//
// The server reads its files ahead, so a seal travels BEFORE the items that it covers:
// a signature over their hashes. So every node can check each item as soon as it
// comes, before it passes it on, and a wrong item convicts exactly the neighbour
// that sent it. The idea is Gennaro and Rohatgi's, "How to Sign Digital Streams"
// (CRYPTO '97), for a sender that knows the stream in advance.
//
// So is the chain of the seals: each has the hash of the one that follows, as far as the server has read ahead. Who has
// proved one proves the next by a hash, at a hundredth of what a signature costs. A seal that was not named is proved by its
// own signature: a newcomer's first, the first behind a hole or a skipped song, the first of an epoch. Each has one, so
// that anybody can begin anywhere.
package seal

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"conga/messages"
)

var (
	// ErrForged means that the signature is not the server's.
	ErrForged = errors.New("seal is not the server's")
	// ErrAltered means that an item is not what its seal says.
	ErrAltered = errors.New("item is not what the server sealed")
)

// Sign seals groups of items of one song. In a group are at most messages.SealItems, with consecutive numbers. Each group
// gets a seal, which is set in its items and names the next group's. change is the item that begins the song. Sign returns
// the first seal.
func Sign(key ed25519.PrivateKey, epoch uint64, change *messages.Item, groups ...[]*messages.Item) *messages.Seal {
	song := change.Hash()
	var next *messages.Seal
	for _, items := range slices.Backward(groups) {
		s := &messages.Seal{Epoch: epoch, First: items[0].Number, Song: song[:]}
		for _, item := range items {
			hash := item.Hash()
			s.Hashes = append(s.Hashes, hash[:]...)
			item.Seal = s
		}
		if next != nil {
			s.Next = link(next)
		}
		s.Signature = ed25519.Sign(key, signed(s))
		next = s
	}
	return next
}

// Names reports whether the seal `before`, which is proved, names s as the next one. Then s is proved, too: it is the
// server's, with the signature that it has.
func Names(before, s *messages.Seal) bool {
	return len(before.GetNext()) == messages.LinkSize && formed(s) && bytes.Equal(before.GetNext(), link(s))
}

// link is what names a seal. It covers the signature, which only the server can make: so nobody can make up a seal that was
// named but never sent, because the song was skipped; and nobody can pass on a named seal with another signature, for
// which a newcomer further down would accuse a node that has not looked at it.
func link(s *messages.Seal) []byte {
	sum := sha256.Sum256(append(signed(s), s.GetSignature()...))
	return sum[:messages.LinkSize]
}

// formed reports whether a peer's seal has the form of one. Then no other has the same signed bytes and signature.
func formed(s *messages.Seal) bool {
	n, next := len(s.GetHashes()), len(s.GetNext())
	return s.GetFirst() > 0 && len(s.GetSong()) == messages.HashSize && (next == 0 || next == messages.LinkSize) &&
		n > 0 && n%messages.HashSize == 0 && n <= messages.SealItems*messages.HashSize && len(s.GetSignature()) == ed25519.SignatureSize
}

// Verify checks a peer's seal: its form and the server's signature.
func Verify(key ed25519.PublicKey, s *messages.Seal) error {
	if !formed(s) {
		return fmt.Errorf("seal of %d bytes of hashes: %w", len(s.GetHashes()), ErrForged)
	}
	if len(key) != ed25519.PublicKeySize || !ed25519.Verify(key, signed(s), s.GetSignature()) {
		return fmt.Errorf("seal of items from %d: %w", s.GetFirst(), ErrForged)
	}
	return nil
}

// Covers says whether the seal has a hash of the item with this number.
func Covers(s *messages.Seal, number uint64) bool {
	return s != nil && number >= s.GetFirst() && number-s.GetFirst() < uint64(len(s.GetHashes())/messages.HashSize)
}

// Check compares an item with its verified seal. The item is one that the seal covers, or the
// change of their song.
func Check(s *messages.Seal, item *messages.Item) error {
	if s != nil && item.Change != nil && item.Number < s.GetFirst() {
		if item.Hash() != [messages.HashSize]byte(s.GetSong()) {
			return fmt.Errorf("song change %d: %w", item.Number, ErrAltered)
		}
		return nil
	}
	if !Covers(s, item.Number) {
		return fmt.Errorf("item %d has no seal, the last one is %s: %w", item.Number, span(s), ErrAltered)
	}
	at := int(item.Number-s.GetFirst()) * messages.HashSize
	if item.Hash() != [messages.HashSize]byte(s.GetHashes()[at:]) {
		return fmt.Errorf("item %d: %w", item.Number, ErrAltered)
	}
	return nil
}

// span says in words which items a seal covers.
func span(s *messages.Seal) string {
	if s == nil {
		return "none"
	}
	return fmt.Sprintf("of items %d to %d in epoch %d", s.GetFirst(), s.GetFirst()+uint64(len(s.GetHashes())/messages.HashSize)-1, s.GetEpoch())
}

// mostSigned is about the most bytes that the signature covers, with room for the signature itself.
const mostSigned = 32 + messages.HashSize + 1 + messages.LinkSize + messages.SealItems*messages.HashSize + ed25519.SignatureSize

// signed is what the signature covers. Its first line keeps it apart from everything else that
// the key may sign.
func signed(s *messages.Seal) []byte {
	b := append(make([]byte, 0, mostSigned), "conga seal 2\x00"...)
	b = binary.BigEndian.AppendUint64(b, s.GetEpoch())
	b = binary.BigEndian.AppendUint64(b, s.GetFirst())
	b = append(b, s.GetSong()...)
	b = append(b, byte(len(s.GetNext())))
	b = append(b, s.GetNext()...)
	return append(b, s.GetHashes()...)
}
