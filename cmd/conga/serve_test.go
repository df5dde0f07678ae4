package main

import (
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
		{"two networks", []string{"192.0.2.1:7000", "198.51.100.1:7000"}, "[::]:7000", false, []string{"http://192.0.2.1:7000/", "instead of 192.0.2.1:7000: 198.51.100.1:7000"}},
		{"token", []string{"192.0.2.1:7000"}, "[::]:7000", true, []string{"', and the token in CONGA_AUTH"}},
	} {
		i := invitationTo(test.at, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(test.addr)), "http://"+test.at[0]+"/", make([]byte, 32), test.secret)
		text := strings.Join(i.lines, "\n")
		for _, says := range test.says {
			if !strings.Contains(text, says) {
				t.Errorf("%s: no %q in\n%s", test.name, says, text)
			}
		}
		if i.open != "http://"+test.at[0]+"/" || len(i.code) == 0 || len(i.code) > 19 {
			t.Errorf("%s: %s, a code of %d rows", test.name, i.open, len(i.code))
		}
	}
}

func TestSecurePage(t *testing.T) {
	for _, test := range []struct {
		at    string
		names []string
		want  string
	}{
		{"192.0.2.1:7000", nil, "https://192.0.2.1:7000/"},
		{"192.0.2.1:7000", []string{"*.radio.example"}, "https://192.0.2.1:7000/"},
		{"192.0.2.1:7000", []string{"*.radio.example", "radio.example"}, "https://radio.example:7000/"},
		{"192.0.2.1:443", []string{"radio.example"}, "https://radio.example/"},
	} {
		if got := securePage(test.at, test.names); got != test.want {
			t.Errorf("%s, %q: %s, want %s", test.at, test.names, got, test.want)
		}
	}
}

func TestServe_ShuffleNeedsPlaylist(t *testing.T) {
	if code, _, err := conga(t, "serve", "--shuffle", "--songs", t.TempDir()+"/none", "--data", t.TempDir()); code != cli.Failed || !strings.Contains(err, "give --playlist FILE") {
		t.Errorf("exit %d, %q", code, err)
	}
}
