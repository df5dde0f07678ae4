package keys

import (
	"bytes"
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"filippo.io/age"
	"filippo.io/age/armor"

	"conga/cmd/internal/disk"
)

// maxCarried bounds a file that is read as a key: one is some hundred bytes.
const maxCarried = 64 << 10

// ErrPassphrase: the passphrase is not the one that the file was encrypted with.
var ErrPassphrase = errors.New("this is not the passphrase")

// Export writes the signing key in dir into a new file that only its owner may read, encrypted if there is a passphrase.
func Export(dir, file, passphrase string) (ed25519.PublicKey, error) {
	key, err := read(filepath.Join(dir, SigningFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s has no key: no server was ever started with this --data", dir)
	}
	if err != nil {
		return nil, err
	}
	data := encode(key)
	if passphrase != "" {
		if data, err = encrypt(data, passphrase); err != nil {
			return nil, fmt.Errorf("encrypt the key: %w", err)
		}
	}
	if err := writeNew(file, data); err != nil {
		return nil, err
	}
	return key.Public().(ed25519.PublicKey), nil
}

// writeNew replaces nothing.
func writeNew(file string, data []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already: name a new file", file)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("write the key: %w", err), os.Remove(file))
	}
	return nil
}

// Import makes the exported key the one that signs in dir. passphrase is asked if the file is encrypted. It replaces no other
// key, because listeners would refuse the server.
func Import(file, dir string, passphrase func() (string, error)) (ed25519.PublicKey, error) {
	data, err := readBounded(file)
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte(armor.Header)) {
		phrase, err := passphrase()
		if err != nil {
			return nil, err
		}
		if data, err = decrypt(data, phrase); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	key, err := decode(data)
	if err != nil {
		return nil, fmt.Errorf("%s %w", file, err)
	}
	path := filepath.Join(dir, SigningFile)
	if _, err := os.Stat(filepath.Join(dir, IdentityFile)); err == nil {
		return nil, fmt.Errorf("%s is a listener's data folder: choose another with --data", dir)
	}
	switch old, err := read(path); {
	case err == nil && old.Equal(key):
		return key.Public().(ed25519.PublicKey), nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	case err == nil:
		return nil, fmt.Errorf("%s has another key already: listeners of its radio know that one. Choose another --data, or move %s away", dir, path)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return key.Public().(ed25519.PublicKey), writeKey(path, key)
}

func readBounded(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxCarried+1))
	if err == nil && len(data) > maxCarried {
		err = fmt.Errorf("%s %w", file, errNoKey)
	}
	return data, err
}

// encrypt returns data as age encrypts it for a passphrase (scrypt, then ChaCha20-Poly1305), as text; the age program reads it, too.
func encrypt(data []byte, passphrase string) ([]byte, error) {
	to, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	lines := armor.NewWriter(&text)
	secret, err := age.Encrypt(lines, to)
	if err != nil {
		return nil, err
	}
	_, err = secret.Write(data)
	err = errors.Join(err, secret.Close(), lines.Close())
	return text.Bytes(), err
}

func decrypt(data []byte, passphrase string) ([]byte, error) {
	by, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, err
	}
	plain, err := age.Decrypt(armor.NewReader(bytes.NewReader(data)), by)
	if wrong := (*age.NoIdentityMatchError)(nil); errors.As(err, &wrong) {
		return nil, ErrPassphrase
	}
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(plain, maxCarried))
}

func encode(key ed25519.PrivateKey) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: keyBlock, Bytes: key.Seed()})
}

func decode(data []byte) (ed25519.PrivateKey, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != keyBlock || len(block.Bytes) != ed25519.SeedSize {
		return nil, errNoKey
	}
	return ed25519.NewKeyFromSeed(block.Bytes), nil
}

func writeKey(path string, key ed25519.PrivateKey) error {
	return disk.WriteFile(path, encode(key), 0o600)
}
