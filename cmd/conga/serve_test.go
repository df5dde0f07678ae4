package main

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"

	"conga/cmd/internal/cli"
)

func TestInvitation(t *testing.T) {
	for _, test := range []struct {
		name   string
		at     []string
		addr   string
		secret bool
		says   []string
	}{
		{"loopback", []string{"127.0.0.1:7000"}, "127.0.0.1:7000", false, []string{"browser: http://127.0.0.1:7000/", "'conga://127.0.0.1:7000?key=", "--listen :PORT lets others in"}},
		{"no network", []string{"127.0.0.1:7000"}, "[::]:7000", false, []string{"it is in no network"}},
		{"two networks", []string{"192.0.2.1:7000", "198.51.100.1:7000"}, "[::]:7000", false, []string{
			"browser: http://192.0.2.1:7000/\n", "does not open, try http://198.51.100.1:7000/;", "'conga://192.0.2.1:7000?key=" + strings.Repeat("A", 43) + "&or=198.51.100.1:7000'",
		}},
		{"token", []string{"192.0.2.1:7000"}, "[::]:7000", true, []string{"', and the token in CONGA_AUTH"}},
	} {
		i := invitationTo(test.at, nil, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(test.addr)), "http://"+test.at[0]+"/", make([]byte, 32), test.secret)
		text := strings.Join(i.lines, "\n")
		for _, says := range test.says {
			if !strings.Contains(text, says) {
				t.Errorf("%s: no %q in\n%s", test.name, says, text)
			}
		}
		if loopback := strings.HasPrefix(test.at[0], "127."); loopback != (len(i.code) == 0) {
			t.Errorf("%s: a QR code of %d rows", test.name, len(i.code)) // a phone reads it
		}
		if i.open != "http://"+test.at[0]+"/" || len(i.code) > 19 {
			t.Errorf("%s: %s, a code of %d rows", test.name, i.open, len(i.code))
		}
	}
}

// Of several servers any may be gone when somebody uses the link.
func TestInvitation_Servers(t *testing.T) {
	all := []string{"a.example:7000", "b.example:7000"}
	i := invitationTo([]string{"192.0.2.1:7000"}, all, net.TCPAddrFromAddrPort(netip.MustParseAddrPort("[::]:7000")), "https://radio.example:7000/", make([]byte, 32), false)
	text := strings.Join(i.lines, "\n")
	for _, says := range []string{
		"browser: https://radio.example:7000/", "'conga://a.example:7000?key=" + strings.Repeat("A", 43) + "&or=b.example:7000'", "https://a.example:7000/ or https://b.example:7000/",
	} {
		if !strings.Contains(text, says) {
			t.Errorf("no %q in\n%s", says, text)
		}
	}
}

func TestPageAt(t *testing.T) {
	for _, test := range []struct {
		at     string
		names  []string
		secure bool
		want   string
	}{
		{"192.0.2.1:7000", nil, false, "http://192.0.2.1:7000/"},
		{"192.0.2.1:7000", nil, true, "https://192.0.2.1:7000/"},
		{"192.0.2.1:7000", []string{"*.radio.example"}, true, "https://192.0.2.1:7000/"},
		{"192.0.2.1:7000", []string{"*.radio.example", "radio.example"}, true, "https://radio.example:7000/"},
		{"192.0.2.1:7000", []string{"radio.example"}, false, "http://radio.example:7000/"},
		{"192.0.2.1:7000", []string{"2001:db8::1"}, false, "http://[2001:db8::1]:7000/"},
		{"192.0.2.1:443", []string{"radio.example"}, true, "https://radio.example/"},
		{"192.0.2.1:80", nil, false, "http://192.0.2.1/"},
	} {
		if got := pageAt(underName(test.at, test.names), test.secure); got != test.want {
			t.Errorf("%s, %q: %s, want %s", test.at, test.names, got, test.want)
		}
	}
}

// The name that the host gives is what guests are told, and the link tries the machine's own addresses, too.
func TestInvite_WebName(t *testing.T) {
	addr := net.TCPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.1:7000"))
	c := serveCmd{WebName: []string{"radio.example"}, NoMDNS: true}
	text := strings.Join(c.invite(addr, make([]byte, 32), browsers{}, slog.New(slog.DiscardHandler)).lines, "\n")
	for _, says := range []string{"browser: http://radio.example:7000/\n", "'conga://radio.example:7000?key=", "&or=192.0.2.1:7000'"} {
		if !strings.Contains(text, says) {
			t.Errorf("no %q in\n%s", says, text)
		}
	}
	addr.IP = net.IPv4(127, 0, 0, 1) // others do not reach it
	if text := strings.Join(c.invite(addr, make([]byte, 32), browsers{}, slog.New(slog.DiscardHandler)).lines, "\n"); strings.Contains(text, "radio.example") {
		t.Error(text)
	}
}

func TestServe_WebNameIsAHost(t *testing.T) {
	for _, name := range []string{"http://radio.example/", "radio.example:7000", "radio.example/page", " "} {
		if code, _, err := conga(t, "serve", "--web-name", name, "--songs", t.TempDir()+"/none", "--data", t.TempDir()); code != cli.Usage || !strings.Contains(err, "is not a name") {
			t.Errorf("%q: exit %d, %q", name, code, err)
		}
	}
}

func TestServe_ShuffleNeedsPlaylist(t *testing.T) {
	if code, _, err := conga(t, "serve", "--shuffle", "--songs", t.TempDir()+"/none", "--data", t.TempDir()); code != cli.Failed || !strings.Contains(err, "give --playlist FILE") {
		t.Errorf("exit %d, %q", code, err)
	}
}

// A node that plays over TLS is reached by the name that it advertises, else by the first in its certificate.
func TestBrowsers_ReachedAs(t *testing.T) {
	cert := func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil }
	for name, test := range map[string]struct {
		names     []string
		advertise string
		want, err string
	}{
		"the first name":          {names: []string{"*.a.example", "b.example", "c.example"}, want: "b.example"},
		"an address is no name":   {names: []string{"b.example"}, advertise: "203.0.113.4:7100", want: "b.example"},
		"nor is a port":           {names: []string{"b.example"}, advertise: ":7100", want: "b.example"},
		"the advertised":          {names: []string{"b.example", "c.example"}, advertise: "C.example:7100", want: "C.example"},
		"one of any":              {names: []string{"*.a.example"}, advertise: "amy.a.example:7100", want: "amy.a.example"},
		"any says not which":      {names: []string{"*.a.example"}, err: "--advertise NAME:PORT"},
		"not in the certificate":  {names: []string{"*.a.example"}, advertise: "x.amy.a.example:7100", err: "not for x.amy.a.example"},
		"a certificate of no one": {err: "--advertise NAME:PORT"},
	} {
		got, err := browsers{cert, test.names}.reachedAs(test.advertise)
		if got != test.want || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if got, err := (browsers{}).reachedAs("amy.example:7100"); got != "" || err != nil {
		t.Errorf("without a certificate: %q, %v", got, err)
	}
}
