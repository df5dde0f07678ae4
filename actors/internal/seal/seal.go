// Package seal proves that music is what the server sent, whoever passed it on.
//
// The server reads its files ahead, so a seal travels BEFORE the items that it covers:
// a signature over their hashes. So every node can check each item as soon as it
// comes, before it passes it on, and a wrong item convicts exactly the neighbour
// that sent it. The idea is Gennaro and Rohatgi's, "How to Sign Digital Streams"
// (CRYPTO '97), for a sender that knows the stream in advance.
package seal

import (
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"

	"conga/messages"
)

var (
	// ErrForged means that the signature is not the server's.
	ErrForged = errors.New("seal is not the server's")
	// ErrAltered means that an item is not what its seal says.
	ErrAltered = errors.New("item is not what the server sealed")
)

// Sign returns the seal for items of one song with consecutive numbers, at most
// messages.SealItems, and sets it in each of them. change is the item that begins the song.
func Sign(key ed25519.PrivateKey, epoch uint64, change *messages.Item, items []*messages.Item) *messages.Seal {
	song := change.Hash()
	s := &messages.Seal{Epoch: epoch, First: items[0].Number, Song: song[:]}
	for _, item := range items {
		hash := item.Hash()
		s.Hashes = append(s.Hashes, hash[:]...)
		item.Seal = s
	}
	s.Signature = ed25519.Sign(key, signed(s))
	return s
}

// Verify checks a peer's seal: its form and the server's signature.
func Verify(key ed25519.PublicKey, s *messages.Seal) error {
	n := len(s.GetHashes())
	if len(s.GetSong()) != messages.HashSize || n == 0 || n%messages.HashSize != 0 || n > messages.SealItems*messages.HashSize || s.GetFirst() == 0 {
		return fmt.Errorf("seal of %d bytes of hashes: %w", n, ErrForged)
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

// signed is what the signature covers. Its first line keeps it apart from everything else that
// the key may sign.
func signed(s *messages.Seal) []byte {
	b := []byte("conga seal 1\x00")
	b = binary.BigEndian.AppendUint64(b, s.GetEpoch())
	b = binary.BigEndian.AppendUint64(b, s.GetFirst())
	b = append(b, s.GetSong()...)
	return append(b, s.GetHashes()...)
}
