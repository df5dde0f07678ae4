package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"conga/actors"
	"conga/cmd/internal/address"
	"conga/cmd/internal/keys"
	"conga/cmd/internal/live"
	"conga/cmd/internal/node"
	"conga/messages"
	"conga/transport"
)

// listenAddr is where a port listens: HOST:PORT, :PORT, or only the port.
type listenAddr string

// UnmarshalText completes what the user wrote.
func (a *listenAddr) UnmarshalText(text []byte) error {
	addr, err := address.ListenAt(string(text), "", address.RequestsPort)
	*a = listenAddr(addr)
	return err
}

// httpAddr is listenAddr, or off. A port alone is on this machine only.
type httpAddr string

// UnmarshalText completes what the user wrote.
func (a *httpAddr) UnmarshalText(text []byte) error {
	if *a = httpAddr(text); *a == node.NoHTTP {
		return nil
	}
	addr, err := address.ListenAt(string(text), "127.0.0.1", address.HTTPPort)
	*a = httpAddr(addr)
	if err != nil {
		err = errors.New(err.Error() + ", or off")
	}
	return err
}

// takes reports whether the debug port is one of the given number of ports from that of listen on.
func (a httpAddr) takes(listen listenAddr, ports int) bool {
	host, port, err := net.SplitHostPort(string(a))
	other, first, otherErr := net.SplitHostPort(string(listen))
	if err != nil || otherErr != nil || host != other && host != "" && other != "" {
		return false
	}
	n, _ := strconv.Atoi(port) // isPort
	m, _ := strconv.Atoi(first)
	return n > 0 && m > 0 && n >= m && n < m+ports
}

// offsetMs is an offset in milliseconds.
type offsetMs time.Duration

// UnmarshalText reads it.
func (o *offsetMs) UnmarshalText(text []byte) error {
	offset, err := live.ParseOffset(string(text))
	*o = offsetMs(offset)
	return err
}

// given is the offset; nil: the flag was not given.
func (o *offsetMs) given() *time.Duration { return (*time.Duration)(o) }

// tokenFlag is --auth of serve and join. It is a pointer, to tell an empty token, a mistake that
// would let everybody in, from no token.
type tokenFlag struct {
	Auth *string `placeholder:"TOKEN" help:"Token that clients must know. Safer in the environment ($CONGA_AUTH) or in the file: other users of the machine can see arguments."`
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

// debugFlags are the flags of the debug port.
type debugFlags struct {
	PProf bool `name:"pprof" help:"Answer at --http also with the profiles of Go, below /debug/pprof/."`
}

// maxPlayers is for how many players one node can be asked to play.
const maxPlayers = 1000

// tlsFlags are a certificate that browsers trust.
type tlsFlags struct {
	TLSCert string `name:"tls-cert" placeholder:"FILE" help:"Certificate for browsers and players, in PEM with those that signed it: https then works without a warning. It is read again when it changes."`
	TLSKey  string `name:"tls-key" placeholder:"FILE" help:"The certificate's key, in PEM."`
}

// browsers is how they know this node; the zero value is for those who have only its address.
type browsers struct {
	certificate transport.BrowserCertificate
	names       []string // that the certificate is for
}

func (f tlsFlags) browsers(logger *slog.Logger) (b browsers, err error) {
	switch {
	case f.TLSCert == "" && f.TLSKey == "":
		return b, nil
	case f.TLSCert == "" || f.TLSKey == "":
		return b, errors.New("--tls-cert and --tls-key belong together: give both")
	}
	pair, err := keys.OpenBrowser(f.TLSCert, f.TLSKey, logger)
	if err != nil {
		return b, err
	}
	return browsers{pair.Certificate, pair.Names()}, nil
}

// reachedAs is the name in the certificate by which players reach a node that advertises the address.
func (b browsers) reachedAs(advertise string) (string, error) {
	if b.certificate == nil {
		return "", nil
	}
	host, _, _ := net.SplitHostPort(advertise)
	_, err := netip.ParseAddr(host)
	named := host != "" && err != nil
	for _, name := range b.names {
		parent, any := strings.CutPrefix(name, "*.")
		switch _, rest, _ := strings.Cut(host, "."); {
		case !named && !any:
			return name, nil
		case named && (strings.EqualFold(name, host) || any && strings.EqualFold(parent, rest)):
			return host, nil
		}
	}
	if named {
		return "", fmt.Errorf("--tls-cert is not for %s, which --advertise names, but for %s", host, strings.Join(b.names, ", "))
	}
	return "", errors.New("--tls-cert names no host: say with --advertise NAME:PORT by which name others reach this machine")
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

// limits leaves room for the players beside those who look at the page.
func (f limitFlags) limits(players int) transport.Limits {
	return transport.Limits{
		Web:        transport.DefaultLimits.Web - node.LastPlayers + players,
		PerAddress: f.MaxPerAddress, HalfOpen: f.MaxHalfOpen, Visitors: f.MaxVisitors, Requests: f.MaxRequests, Listeners: f.MaxListeners,
	}
}

// queueFlags say whose request is next, and who may end a song.
type queueFlags struct {
	Queue        string `default:"fifo" enum:"fifo,fair" placeholder:"ORDER" help:"Whose song is next: fifo (first come, first served) or fair (each person in turn) (${default})."`
	RequestsEach int    `default:"10" placeholder:"N" help:"Songs that one person may have waiting; all of one address together five times as many. 0 means any number (${default})."`
	SkipVotes    int    `default:"0" placeholder:"N" help:"So many people who say SKIP end the song that is heard; 0: only the host can (${default})."`
}

func (f queueFlags) validate() error {
	if f.RequestsEach < 0 || f.RequestsEach > 1000 || f.SkipVotes < 0 || f.SkipVotes > 1000 {
		return errors.New("--requests-each and --skip-votes are numbers from 0 to 1000")
	}
	return nil
}

func (f queueFlags) rules() *messages.QueueRules {
	rules := &messages.QueueRules{RequestsEach: int32(f.RequestsEach), SkipVotes: int32(f.SkipVotes)}
	if f.Queue == "fair" {
		rules.Order = messages.QueueOrder_QUEUE_ORDER_FAIR
	}
	return rules
}

// uploadFlags say whether guests may bring songs, and how much.
type uploadFlags struct {
	AcceptUploads bool  `help:"Let guests bring songs, on the page or with conga add; they come into the folder uploads in --songs."`
	UploadMax     int64 `default:"50" placeholder:"MB" help:"Size of one file that a guest brings (${default})."`
	UploadsMax    int64 `default:"5" placeholder:"GB" help:"Size of all that guests have brought; a gigabyte of the disk stays free in any case (${default})."`
}

func (f uploadFlags) validate() error {
	if f.UploadMax < 1 || f.UploadMax > 10_000 || f.UploadsMax < 1 || f.UploadsMax > 1<<20 {
		return errors.New("--upload-max is a number of megabytes from 1 to 10000, --uploads-max one of gigabytes from 1 to 1048576")
	}
	return nil
}

func (f uploadFlags) bounds() actors.UploadLimits {
	if !f.AcceptUploads {
		return actors.UploadLimits{}
	}
	return actors.UploadLimits{Largest: f.UploadMax << 20, Most: f.UploadsMax << 30}
}
