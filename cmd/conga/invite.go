package main

import (
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"

	"conga/cmd/internal/address"
	"conga/cmd/internal/cli"
	"conga/cmd/internal/console"
	"conga/cmd/internal/keys"
	"conga/cmd/internal/lan"
	"conga/cmd/internal/qr"
)

// invitation is what the host tells others.
type invitation struct {
	open     string   // what people type into a browser
	lines    []string // all of it, in sentences
	code     []string // the QR code of open
	withdraw func()   // from the local network
}

// invite says how this server is reached, and makes it be found.
func (c *serveCmd) invite(addr net.Addr, key ed25519.PublicKey, browsers browsers, logger *slog.Logger) invitation {
	own := address.Outward(addr)
	secure := browsers.certificate != nil || c.token() != ""
	named, at := underName(own[0], append(slices.Clone(c.WebName), browsers.names...)), own
	if !address.IsLoopback(own[0]) {
		at = append([]string{named}, slices.DeleteFunc(slices.Clone(own), func(one string) bool { return one == named })...)
	} else if !secure {
		named = own[0]
	}
	i := invitationTo(at[:min(len(at), mostInvited)], c.All, addr, pageAt(named, secure), key, c.token() != "")
	if c.token() != "" && browsers.certificate == nil {
		i.lines = append(i.lines, "browsers will warn of its certificate, which nobody has signed: --tls-cert and --tls-key give it another")
	}
	i.withdraw = func() {}
	if c.NoMDNS || address.IsLoopback(own[0]) {
		return i
	}
	stop, err := lan.Announce(own)
	if err != nil {
		logger.Info("others in the local network need the address, conga join alone does not find this radio", "reason", err)
		return i
	}
	i.withdraw = stop
	i.lines = append(i.lines, "in this network it is found by: conga join")
	return i
}

// underName is the address under the first of the names that is one: people know it, browsers trust it, and it may lead
// through a router.
func underName(at string, names []string) string {
	_, port, _ := net.SplitHostPort(at)
	for _, name := range names {
		if !strings.HasPrefix(name, "*.") {
			return net.JoinHostPort(strings.Trim(name, "[]"), port)
		}
	}
	return at
}

// pageAt is the address of the page at a request port.
func pageAt(at string, secure bool) string {
	if secure {
		return "https://" + strings.TrimSuffix(at, ":443") + "/"
	}
	return "http://" + strings.TrimSuffix(at, ":80") + "/"
}

// mostInvited is how many addresses of a server guests are told: people read links, and paste them into chats.
const mostInvited = 4

// invitationTo is for a server that is reached at the addresses, the likeliest first, and listens at addr; its page
// is at open. all are the request ports of all servers of the radio; nil: it is the only one.
func invitationTo(at, all []string, addr net.Addr, open string, key ed25519.PublicKey, secret bool) (i invitation) {
	also, with := "", ""
	if secret {
		also, with = ", with the token", ", and the token in CONGA_AUTH"
	}
	link := all
	if len(all) == 0 {
		link = at
	}
	if i.open = open; !address.IsLoopback(at[0]) { // else no phone gets there
		i.code = qr.Rows(open)
	}
	i.lines = []string{
		"listen in a browser: " + i.open + also,
		fmt.Sprintf("others join with: conga join '%s'%s", keys.JoinLink(link, key), with),
	}
	pages := func(at []string) string {
		var all []string
		for _, one := range at {
			all = append(all, pageAt(one, strings.HasPrefix(open, "https:")))
		}
		return strings.Join(all, " or ")
	}
	switch {
	case len(all) > 0:
		i.lines = append(i.lines, "each server leads a browser to the one that plays: "+pages(all))
	case len(at) > 1:
		i.lines = append(i.lines, fmt.Sprintf("if that page does not open, try %s; the link tries all of them by itself", pages(at[1:])))
	case address.IsLoopback(at[0]) && address.IsLoopback(addr.String()):
		i.lines = append(i.lines, "only programs on this machine can: --listen :PORT lets others in")
	case address.IsLoopback(at[0]):
		i.lines = append(i.lines, "only programs on this machine can: it is in no network")
	}
	return i
}

// print says it in lines; a phone before the terminal can read the code.
func (i invitation) print(streams *cli.Streams) {
	for _, line := range i.lines {
		fmt.Fprintln(streams.Err, line)
	}
	if console.IsTerminal(os.Stderr) && streams.Locale == console.UTF8 {
		for _, row := range i.code {
			fmt.Fprintln(streams.Err, row)
		}
	}
}
