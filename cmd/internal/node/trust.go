package node

import (
	"crypto/ed25519"
	"log/slog"
	"sync"

	"conga/cmd/internal/keys"
)

// trust is a key ring as a listener's connections use it.
type trust struct {
	keys     keys.Ring
	logger   *slog.Logger
	distrust func(error) (ends bool) // says whether joining ends with this error, which then tells the user
	told     sync.Once
}

// Check returns an error unless the server with this key is the intended one.
func (t *trust) Check(key ed25519.PublicKey) error { return t.keys.Check(key) }

// Keep remembers the key. If the disk cannot, the listener plays all the same.
func (t *trust) Keep(key ed25519.PublicKey) {
	if err := t.keys.Keep(key); err != nil {
		t.logger.Warn("the server's key could not be saved", "err", err)
	}
}

// Distrust tells the user once, though the listener tries again and again.
func (t *trust) Distrust(err error) {
	if !t.distrust(err) {
		t.told.Do(func() { t.logger.Warn("this is not the server that you meant", "err", err) })
	}
}
