// Package lan finds radios in the local network, and announces one there, by mDNS (RFC 6762), as printers do.
//
// Answers are not trusted: names are made plain, addresses must be another machine's, and at most mostRadios
// are kept. Anybody can answer under any name, but gains nothing by it: the server's key is checked as if its
// address had been typed.
package lan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"conga/messages"
	"conga/messages/plain"

	"github.com/hashicorp/mdns"
)

const (
	service = "_conga._tcp"
	domain  = "local."
	// mostRadios is how many answers are kept, mostNetworks how many networks of a machine are asked.
	mostRadios, mostNetworks = 32, 8
)

// Radio is a server that answered.
type Radio struct {
	Name string
	Addr string // host:port of its requests
}

// quiet silences the library's log.
var quiet = log.New(io.Discard, "", 0)

// networks returns the interfaces whose networks may have other machines.
func networks() []net.Interface {
	all, _ := net.Interfaces()
	var found []net.Interface
	for _, i := range all {
		if i.Flags&net.FlagUp != 0 && i.Flags&net.FlagMulticast != 0 && i.Flags&net.FlagLoopback == 0 && len(found) < mostNetworks {
			found = append(found, i)
		}
	}
	return found
}

// Announce announces a server that others reach at the addresses (host:port), until stop is called.
func Announce(at []string) (stop func(), err error) {
	var ips []net.IP
	var port uint16
	for _, addr := range at {
		where, err := netip.ParseAddrPort(addr)
		if err != nil || !elsewhere(where.Addr()) {
			continue
		}
		ips, port = append(ips, where.Addr().AsSlice()), where.Port()
	}
	if len(ips) == 0 {
		return nil, errors.New("no other machine can reach it")
	}
	host, err := os.Hostname()
	if err != nil {
		host = "conga"
	}
	host, _, _ = strings.Cut(host, ".") // a name is one label
	var servers []*mdns.Server
	for _, network := range networks() {
		own, _ := network.Addrs()
		zone, err := mdns.NewMDNSService(fmt.Sprintf("%s-%d", host, port), service, domain, host+"."+domain, int(port), among(own, ips), []string{"conga"})
		if err != nil {
			return nil, err
		}
		server, err := mdns.NewServer(&mdns.Config{Zone: zone, Iface: &network, Logger: quiet})
		if err == nil {
			servers = append(servers, server)
		}
	}
	if len(servers) == 0 {
		return nil, errors.New("this machine is in no network that carries mDNS")
	}
	return func() {
		for _, server := range servers {
			_ = server.Shutdown()
		}
	}, nil
}

// among returns those of the addresses that the network knows: guests take any that they are told, and may not reach the
// others. All, if it knows none.
func among(own []net.Addr, ips []net.IP) (known []net.IP) {
	for _, ip := range ips {
		if slices.ContainsFunc(own, func(addr net.Addr) bool { is, ok := addr.(*net.IPNet); return ok && is.IP.Equal(ip) }) {
			known = append(known, ip)
		}
	}
	if known == nil {
		return ips
	}
	return known
}

// Find asks the local networks for radios, and waits for answers as long as patience. They are sorted by name.
func Find(ctx context.Context, patience time.Duration) []Radio {
	entries := make(chan *mdns.ServiceEntry, 4*mostRadios) // answers that have no room are left out
	var asking sync.WaitGroup
	for _, network := range networks() {
		asking.Go(func() {
			_ = mdns.QueryContext(ctx, &mdns.QueryParam{ // a network without multicast has no radios
				Service: service, Domain: domain, Timeout: patience, Interface: &network, Entries: entries, Logger: quiet,
			})
		})
	}
	asking.Wait()
	close(entries)
	return radios(entries)
}

// radios returns the radios among the answers that can be joined, each once.
func radios(answers <-chan *mdns.ServiceEntry) []Radio {
	var found []Radio
	for entry := range answers {
		radio, is := radioOf(entry)
		if is && len(found) < mostRadios && !slices.ContainsFunc(found, func(r Radio) bool { return r.Addr == radio.Addr }) {
			found = append(found, radio)
		}
	}
	slices.SortFunc(found, func(a, b Radio) int { return strings.Compare(a.Name+a.Addr, b.Name+b.Addr) })
	return found
}

// radioOf reads an answer.
func radioOf(entry *mdns.ServiceEntry) (r Radio, is bool) {
	name, ours := strings.CutSuffix(entry.Name, "."+service+"."+domain)
	if !ours || entry.Port < 1 || entry.Port > 65534 {
		return r, false
	}
	for _, ip := range []net.IP{entry.AddrV4, entry.AddrV6} {
		if at, ok := netip.AddrFromSlice(ip); ok && elsewhere(at.Unmap()) {
			name = plain.Text(strings.ReplaceAll(name, `\`, ""), messages.MaxName)
			return Radio{Name: name, Addr: netip.AddrPortFrom(at.Unmap(), uint16(entry.Port)).String()}, true
		}
	}
	return r, false
}

// elsewhere says whether a machine of the network can have the address.
func elsewhere(ip netip.Addr) bool { return ip.IsGlobalUnicast() }
