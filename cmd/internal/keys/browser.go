package keys

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"
)

// looksAgain is how often the files of a certificate are looked at, because it may be renewed while the server runs.
const looksAgain = 10 * time.Second

// Browser is the certificate by which browsers trust the server: two files that the operator renews. It is safe for
// concurrent use.
type Browser struct {
	certFile, keyFile string
	logger            *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	read    [2]time.Time // the times of the files that were read last
	looked  time.Time
}

// OpenBrowser reads the certificate and its key. It warns of a certificate that has expired, or is not valid yet.
func OpenBrowser(certFile, keyFile string, logger *slog.Logger) (*Browser, error) {
	b := &Browser{certFile: certFile, keyFile: keyFile, logger: logger, read: changed(certFile, keyFile), looked: time.Now()}
	cert, err := readPair(certFile, keyFile)
	if err != nil {
		return nil, err
	}
	b.take(cert)
	return b, nil
}

// Certificate is the newest that can be used.
func (b *Browser) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now := time.Now(); now.Sub(b.looked) >= looksAgain {
		b.looked = now
		b.refresh()
	}
	return b.current, nil
}

// refresh reads the files again if they have changed. While only one of the two is new, they do not fit, and the old
// certificate stays.
func (b *Browser) refresh() {
	now := changed(b.certFile, b.keyFile)
	if now == b.read {
		return
	}
	b.read = now
	cert, err := readPair(b.certFile, b.keyFile)
	if err != nil {
		b.logger.Warn("browsers get the certificate of before", "reason", err)
		return
	}
	b.take(cert)
}

func (b *Browser) take(cert *tls.Certificate) {
	b.current = cert
	switch now := time.Now(); {
	case now.After(cert.Leaf.NotAfter):
		b.logger.Warn("browsers refuse the certificate: renew it", "file", b.certFile, "it ended", cert.Leaf.NotAfter.Local())
	case now.Before(cert.Leaf.NotBefore):
		b.logger.Warn("browsers refuse the certificate: it is for later, or this machine's clock is wrong", "file", b.certFile, "it begins", cert.Leaf.NotBefore.Local())
	}
}

// Names are the host names in the certificate; one may begin with "*.".
func (b *Browser) Names() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.current.Leaf.DNSNames)
}

// changed is when the files were changed; zero: one of them is not there.
func changed(files ...string) (at [2]time.Time) {
	for i, file := range files {
		if info, err := os.Stat(file); err == nil {
			at[i] = info.ModTime()
		}
	}
	return at
}

func readPair(certFile, keyFile string) (*tls.Certificate, error) {
	for _, named := range [][2]string{{"--tls-cert", certFile}, {"--tls-key", keyFile}} {
		flag, file := named[0], named[1]
		_, err := os.ReadFile(file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("%s %s: there is no such file", flag, file)
		case errors.Is(err, fs.ErrPermission):
			return nil, fmt.Errorf("%s %s: this user may not read it", flag, file)
		case err != nil:
			return nil, fmt.Errorf("%s: %w", flag, err)
		}
	}
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert %s and --tls-key %s: they must be PEM files, a certificate with those that signed it and the key of the first: %w", certFile, keyFile, err)
	}
	return &cert, nil
}
