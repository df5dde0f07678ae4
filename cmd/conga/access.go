package main

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"

	"conga/transport"
)

// tokenFlag is --auth of serve and join. A pointer, for an empty token is a mistake that
// would open the doors, and no token is none.
type tokenFlag struct {
	Auth *string `env:"CONGA_AUTH" placeholder:"TOKEN" help:"Token that clients must know. Safer in CONGA_AUTH: other users of the machine can see arguments."`
}

func (f tokenFlag) token() string {
	if f.Auth == nil {
		return ""
	}
	return *f.Auth
}

func (f tokenFlag) validate() error {
	if f.Auth == nil {
		return nil
	}
	if err := transport.GoodToken(*f.Auth); err != nil {
		return fmt.Errorf("--auth or CONGA_AUTH: %w", err)
	}
	return nil
}

// limitFlags are how much of a server one client may take.
type limitFlags struct {
	MaxListeners  int     `default:"1000" placeholder:"N" help:"Listeners in the chain (${default})."`
	MaxPerAddress int     `default:"256" placeholder:"N" help:"Connections from one address to each port (${default})."`
	MaxHalfOpen   int     `default:"256" placeholder:"N" help:"Connections to each port that have not yet said who they are (${default})."`
	MaxVisitors   int     `default:"256" placeholder:"N" help:"Connections from people with nc; they do not count as listeners (${default})."`
	SeedListeners int     `default:"8" placeholder:"N" help:"Clients of the Python program of 2016 in the chain; 0, or --auth, lets none in (${default})."`
	MaxRequests   float64 `default:"10" placeholder:"N" help:"Requests a second from one client; one address may send five times as many (${default})."`
}

func (f limitFlags) validate() error {
	if f.MaxListeners < 1 || f.MaxPerAddress < 1 || f.MaxHalfOpen < 1 || f.MaxVisitors < 1 || f.MaxRequests <= 0 || f.MaxRequests > 1e6 {
		return errors.New("--max-listeners, --max-per-address, --max-half-open, --max-visitors and --max-requests must be more than 0")
	}
	if f.SeedListeners < 0 {
		return errors.New("--seed-listeners must be 0 or more")
	}
	return nil
}

func (f limitFlags) limits() transport.Limits {
	return transport.Limits{
		PerAddress: f.MaxPerAddress, HalfOpen: f.MaxHalfOpen, Visitors: f.MaxVisitors, Requests: f.MaxRequests, Listeners: f.MaxListeners,
	}
}

// invite tells the operator what to tell others.
func invite(w io.Writer, addr net.Addr, key ed25519.PublicKey, token string) {
	also := ""
	if token != "" {
		also = ", and the token in CONGA_AUTH"
	}
	at := outward(addr)
	fmt.Fprintf(w, "others join with: conga join '%s'%s\n", joinLink(at[0], key), also)
	switch {
	case len(at) > 1:
		fmt.Fprintf(w, "from another network of this machine, write there instead of %s: %s\n", at[0], strings.Join(at[1:], " or "))
	case isLoopback(at[0]) && isLoopback(addr.String()):
		fmt.Fprintln(w, "only programs on this machine can: --listen :PORT lets others in")
	case isLoopback(at[0]):
		fmt.Fprintln(w, "only programs on this machine can: it is in no network")
	}
}

// trust is a keyring as a listener's connections use it.
type trust struct {
	keys     keyring
	logger   *slog.Logger
	distrust func(error)
	told     sync.Once
}

// Check says why the server with this key is not the one that is meant.
func (t *trust) Check(key ed25519.PublicKey) error { return t.keys.check(key) }

// Keep remembers the key; a disk that cannot is no reason to stay silent.
func (t *trust) Keep(key ed25519.PublicKey) {
	if err := t.keys.keep(key); err != nil {
		t.logger.Warn("the server's key could not be saved", "err", err)
	}
}

// Distrust tells the user once; the listener tries again and again.
func (t *trust) Distrust(err error) {
	t.told.Do(func() { t.logger.Warn("this is not the server that you meant", "err", err) })
	t.distrust(err)
}
