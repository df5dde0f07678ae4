package node

import (
	"crypto/ed25519"
	"log/slog"
	"sync"

	"conga/cmd/internal/keys"
)

// trust is a keyring as a listener's connections use it.
type trust struct {
	keys     keys.Ring
	logger   *slog.Logger
	distrust func(error) (ends bool) // joining ends with it, and tells
	told     sync.Once
}

// Check says why the server with this key is not the one that is meant.
func (t *trust) Check(key ed25519.PublicKey) error { return t.keys.Check(key) }

// Keep remembers the key; a disk that cannot is no reason to stay silent.
func (t *trust) Keep(key ed25519.PublicKey) {
	if err := t.keys.Keep(key); err != nil {
		t.logger.Warn("the server's key could not be saved", "err", err)
	}
}

// Distrust tells the user once; the listener tries again and again.
func (t *trust) Distrust(err error) {
	if !t.distrust(err) {
		t.told.Do(func() { t.logger.Warn("this is not the server that you meant", "err", err) })
	}
}
