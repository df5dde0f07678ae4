package keys

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	// SigningFile holds the key that signs the broadcast: its folder is a server's.
	SigningFile = "key.pem"
	// IdentityFile holds the key that a listener's id is made from.
	IdentityFile = "listener.pem"
	// keyBlock is the type of the PEM block in both.
	keyBlock = "PRIVATE KEY"
)

// errNoKey: the file exists, but does not hold a key.
var errNoKey = errors.New("is not a key of conga")

// kept reads the key in the file. At the first start it makes one, which is on the disk before
// anybody learns it.
func kept(path string) (ed25519.PrivateKey, error) {
	key, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		key = New()
		if err = writeKey(path, key); err != nil {
			return nil, fmt.Errorf("keep the key: %w", err)
		}
	}
	return key, err
}

// KeepSigning writes the key that signs the broadcast again if somebody has removed its file.
func KeepSigning(dir string, key ed25519.PrivateKey) error {
	path := filepath.Join(dir, SigningFile)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return nil // it may be there
	}
	return writeKey(path, key)
}

func read(path string) (ed25519.PrivateKey, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	key, err := decode(data)
	if err != nil {
		return nil, fmt.Errorf("%s %w", path, err)
	}
	return key, nil
}

// New returns a new ed25519 key.
func New() ed25519.PrivateKey {
	_, key, _ := ed25519.GenerateKey(rand.Reader) // crypto/rand does not fail
	return key
}

// Signing returns the key that signs the broadcast. Listeners remember its public half, so a server
// that loses the key is a stranger to them.
func Signing(dir string) (ed25519.PrivateKey, error) {
	key, err := kept(filepath.Join(dir, SigningFile))
	if errors.Is(err, errNoKey) {
		return nil, fmt.Errorf("%w; if you move it away, the server makes a new one, but listeners that know the old one will refuse it", err)
	}
	return key, err
}

// Identity returns the key from which a listener's id is made.
func Identity(dir string) (ed25519.PrivateKey, error) {
	key, err := kept(filepath.Join(dir, IdentityFile))
	if errors.Is(err, errNoKey) {
		return nil, fmt.Errorf("%w; remove it, and this listener is a new one", err)
	}
	return key, err
}

// FindIdentity is Identity without making a key.
func FindIdentity(dir string) (ed25519.PrivateKey, error) {
	return read(filepath.Join(dir, IdentityFile))
}
