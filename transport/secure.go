package transport

import (
	"bufio"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"slices"
	"time"
)

const (
	// handshakeRecord is the first byte of every TLS connection and of no line of text.
	handshakeRecord = 0x16
	// protocol is what both ends name in the handshake (ALPN, RFC 7301); a browser names another.
	protocol = "conga"
	// exporterLabel names the bytes (RFC 5705) that only the two ends of one TLS connection share and
	// over which the token is proved.
	exporterLabel = "EXPORTER-conga-token"
	// identityLabel names the bytes over which a HELLO is signed.
	identityLabel = "EXPORTER-conga-identity"
	exporterSize  = 32
)

// ErrPlainWords: the peer that was taken for a server does not speak TLS.
var ErrPlainWords = errors.New("it does not speak TLS: it is no conga server, or it has no room for another connection from this address")

// errKey: the certificate is not of the kind that conga's servers have.
var errKey = errors.New("its certificate holds no ed25519 key: this is no conga server")

// BrowserCertificate is what a server shows to browsers, which trust names and dates; nil: one that nobody has signed.
type BrowserCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)

// ServerTLS is how the request port speaks TLS: 1.3. Listeners get a certificate that the key
// which signs the broadcast has signed itself: what they trust is that key, so names and dates
// in it mean nothing. All others get the browsers'.
func ServerTLS(key ed25519.PrivateKey, browsers BrowserCertificate) (*tls.Config, error) {
	own, err := selfSigned(key)
	if err != nil {
		return nil, fmt.Errorf("make the server's certificate: %w", err)
	}
	if browsers == nil {
		unsigned, err := unsigned(key)
		if err != nil {
			return nil, fmt.Errorf("make the certificate for browsers: %w", err)
		}
		browsers = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return unsigned, nil }
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if slices.Contains(hello.SupportedProtos, protocol) {
				return own, nil
			}
			return browsers(hello)
		},
		NextProtos:             []string{protocol, webProtocol},
		SessionTicketsDisabled: true, // every connection proves the key anew
	}, nil
}

// unsigned is for browsers where the operator has no certificate for them: no browser takes ed25519. It is the same after a
// restart, so whoever has told his browser to trust it is not asked again.
func unsigned(key ed25519.PrivateKey) (*tls.Certificate, error) {
	secret, err := hkdf.Key(sha256.New, key.Seed(), nil, "conga certificate for browsers 1", 32)
	if err != nil {
		return nil, err
	}
	secret[0] &= 0x7f // below the curve's order
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), secret)
	if err != nil {
		return nil, err
	}
	return selfSigned(private)
}

func selfSigned(key crypto.Signer) (*tls.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: protocol},
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(9999, time.December, 31, 23, 59, 59, 0, time.UTC), // RFC 5280's "never"
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key) // without chance: the same each time
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// session is what both ends of a TLS connection know about it.
type session struct {
	key      ed25519.PublicKey // the server's
	exporter []byte            // somebody in between has other bytes; the token is proved over them
	identity []byte            // likewise; a HELLO is signed over them
	web      bool              // the other end is a browser
}

// export sets the bytes that only the two ends of the connection have.
func (s *session) export(state tls.ConnectionState) (err error) {
	if s.exporter, err = state.ExportKeyingMaterial(exporterLabel, nil, exporterSize); err != nil {
		return err
	}
	s.identity, err = state.ExportKeyingMaterial(identityLabel, nil, exporterSize)
	return err
}

// dialTLS starts TLS on conn. It calls check with the server's key once the server has proved
// that it has it, and before this end sends anything inside TLS.
func dialTLS(ctx context.Context, conn net.Conn, check func(ed25519.PublicKey) error) (*tls.Conn, *session, error) {
	s := &session{}
	secure := tls.Client(conn, &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: []string{protocol},
		// Without the keys that withstand a quantum computer, a handshake has 2 kB less, and the server keeps as much less
		// memory for each listener. What they say to each other need not stay secret for that long.
		CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256},
		// Only the certificate's key matters, not its name or signer. VerifyConnection
		// checks the key.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			key, is := state.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
			if !is {
				return errKey
			}
			s.key = key
			return check(key)
		},
	})
	if err := shakeHands(ctx, secure); err != nil {
		if plain := (tls.RecordHeaderError{}); errors.As(err, &plain) {
			err = ErrPlainWords
		}
		return nil, nil, fmt.Errorf("speak TLS with the server: %w", err)
	}
	return secure, s, s.export(secure.ConnectionState())
}

// SpeakTLS speaks TLS with a server as listeners do. check is asked about the server's key before anything is said.
func SpeakTLS(ctx context.Context, conn net.Conn, check func(ed25519.PublicKey) error) (net.Conn, error) {
	secure, _, err := dialTLS(ctx, conn, check)
	if err != nil {
		return nil, err
	}
	return secure, nil
}

// acceptTLS starts TLS on conn, whose first bytes r has buffered.
func acceptTLS(ctx context.Context, conn net.Conn, r *bufio.Reader, cfg *tls.Config) (*tls.Conn, *session, error) {
	secure := tls.Server(&begun{Conn: conn, r: r}, cfg)
	if err := shakeHands(ctx, secure); err != nil {
		return nil, nil, fmt.Errorf("speak TLS: %w", err)
	}
	state := secure.ConnectionState()
	s := &session{web: state.NegotiatedProtocol == webProtocol}
	return secure, s, s.export(state)
}

// shakeHands does the handshake within helloPatience. That is a deadline of the connection, because ctx cannot tell that this
// process did not run.
func shakeHands(ctx context.Context, secure *tls.Conn) error {
	_ = secure.SetDeadline(time.Now().Add(helloPatience))
	err := secure.HandshakeContext(ctx)
	_ = secure.SetDeadline(time.Time{})
	return err
}

// begun is a connection whose first bytes are in r. When they have been read, r and its buffer go.
type begun struct {
	net.Conn
	r *bufio.Reader
}

func (b *begun) Read(p []byte) (int, error) {
	if b.r != nil && b.r.Buffered() > 0 {
		return b.r.Read(p)
	}
	b.r = nil
	return b.Conn.Read(p)
}
