package main

import (
	"net"
	"net/netip"
	"strings"
	"testing"
)

func TestInvite(t *testing.T) {
	var out strings.Builder
	invite(&out, net.TCPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:7000")), make([]byte, 32), "")
	if got := out.String(); !strings.Contains(got, "'conga://127.0.0.1:7000?key=") || !strings.Contains(got, "--listen :PORT lets others in") {
		t.Error(got)
	}
}
