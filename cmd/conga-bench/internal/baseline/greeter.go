package baseline

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"sync"
	"time"
)

// Greeter is a server that greets each client over TLS and sends it a message: the least that a join needs.
type Greeter struct {
	listener net.Listener
	message  []byte
	wg       sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
}

// StartGreeter starts one with a key of conga's kind.
func StartGreeter(message []byte) (*Greeter, error) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, form, form, public, private)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start a greeter: %w", err)
	}
	g := &Greeter{message: message, listener: tls.NewListener(plain, &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{certificate}, PrivateKey: private}},
	})}
	g.wg.Go(g.accept)
	return g, nil
}

// Addr is where clients connect.
func (g *Greeter) Addr() string { return g.listener.Addr().String() }

func (g *Greeter) accept() {
	for {
		conn, err := g.listener.Accept()
		if err != nil {
			return
		}
		g.mu.Lock()
		g.conns = append(g.conns, conn)
		g.mu.Unlock()
		g.wg.Go(func() { _, _ = conn.Write(g.message) })
	}
}

// Close ends the server and its connections.
func (g *Greeter) Close() error {
	err := g.listener.Close()
	g.mu.Lock()
	for _, conn := range g.conns {
		_ = conn.Close()
	}
	g.mu.Unlock()
	g.wg.Wait()
	return err
}

// Greet connects n clients to greeters, one after another or all at once, and returns how long each took until it had
// size bytes of the message, and how long all took together. The connections are then closed.
func Greet(addr string, n, size int, atOnce bool) (each []time.Duration, all time.Duration, err error) {
	conns, took, errs := make([]net.Conn, n), make([]time.Duration, n), make([]error, n)
	begin := time.Now()
	var wg sync.WaitGroup
	for i := range n {
		greet := func() { conns[i], took[i], errs[i] = meet(addr, size) }
		if atOnce {
			wg.Go(greet)
		} else {
			greet()
		}
	}
	wg.Wait()
	all = time.Since(begin)
	for _, conn := range conns {
		if conn != nil {
			_ = conn.Close()
		}
	}
	return took, all, errors.Join(errs...)
}

func meet(addr string, size int) (net.Conn, time.Duration, error) {
	begin := time.Now()
	conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return nil, 0, fmt.Errorf("connect to %s: %w", addr, err)
	}
	if _, err := io.ReadFull(conn, make([]byte, size)); err != nil {
		return conn, 0, fmt.Errorf("read what %s says: %w", addr, err)
	}
	return conn, time.Since(begin), nil
}
