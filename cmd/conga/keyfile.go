package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"conga/cmd/conga/internal/disk"
)

const (
	// keyFile holds the key that signs the broadcast: its folder is a server's.
	keyFile = "key.pem"
	// identityFile holds the key that a listener's id is made from.
	identityFile = "listener.pem"
	// keyBlock is the type of the PEM block in both.
	keyBlock = "PRIVATE KEY"
)

// errNoKey: the file is there, but holds something else.
var errNoKey = errors.New("is not a key of conga")

// keptKey reads the key in the file, and makes it at the first start: it is on the disk BEFORE
// anybody hears of it.
func keptKey(path string) (ed25519.PrivateKey, error) {
	key, err := readKey(path)
	if errors.Is(err, fs.ErrNotExist) {
		key = newKey()
		if err = writeKey(path, key); err != nil {
			return nil, fmt.Errorf("keep the key: %w", err)
		}
	}
	return key, err
}

// keepKey writes the key that signs the broadcast again if somebody has removed its file.
func keepKey(dir string, key ed25519.PrivateKey) error {
	path := filepath.Join(dir, keyFile)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return nil // what cannot be looked at is taken to be there
	}
	return writeKey(path, key)
}

func writeKey(path string, key ed25519.PrivateKey) error {
	return disk.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: key.Seed()}), 0o600)
}

func readKey(path string) (ed25519.PrivateKey, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the key: %w", err)
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != keyBlock || len(block.Bytes) != ed25519.SeedSize {
		return nil, fmt.Errorf("%s %w", path, errNoKey)
	}
	return ed25519.NewKeyFromSeed(block.Bytes), nil
}

func newKey() ed25519.PrivateKey {
	_, key, _ := ed25519.GenerateKey(rand.Reader) // crypto/rand does not fail
	return key
}
