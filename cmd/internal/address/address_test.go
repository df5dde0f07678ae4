package address

import (
	"fmt"
	"net"
	"strings"
	"testing"
)

func TestListenAt(t *testing.T) {
	for _, test := range []struct{ text, host, want string }{
		{":7000", "", ":7000"},
		{"7000", "", ":7000"},
		{"0", "", ":0"},
		{" 7000 ", "127.0.0.1", "127.0.0.1:7000"},
		{":8000", "127.0.0.1", ":8000"}, // that is what they say
		{"localhost:0", "", "localhost:0"},
		{"[::1]:7000", "", "[::1]:7000"},
		{"10.0.0.1", "", ""},
		{"::1", "", ""},
		{"[::1]", "", ""},
		{"localhost", "", ""},
		{"7000x", "", ""},
		{"65536", "", ""},
		{":65536", "", ""},
		{":-1", "", ""},
		{"a b:1", "", ""},
		{"http://a:1", "", ""},
		{"", "", ""},
	} {
		got, err := ListenAt(test.text, test.host, HTTPPort)
		if got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%q: %q, %v; want %q", test.text, got, err, test.want)
		}
	}
}

// The error for a mistake says what works.
func TestListenAt_Says(t *testing.T) {
	for text, want := range map[string]string{
		"localhost": "localhost has no port: write localhost:8000",
		"::1":       "::1 has no port: write [::1]:8000",
		"a b":       `"a b" is not HOST:PORT, as 127.0.0.1:8000, nor :PORT`,
		"70000":     `"70000": the port is a number from 0 to 65535, and 0 takes a free one`,
		":70000":    "the port is a number from 0 to 65535",
	} {
		if _, err := ListenAt(text, "", HTTPPort); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// If the port after that of --listen is taken, the error says where that port comes from: nobody has typed it.
func TestListenPair_StreamTaken(t *testing.T) {
	for range 50 { // until the port before a taken one is free
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
		before := fmt.Sprintf("127.0.0.1:%d", taken.Addr().(*net.TCPAddr).Port-1)
		_, _, err = ListenPair(before)
		if err == nil {
			t.Fatal("the pair is there")
		}
		if !strings.HasPrefix(err.Error(), "listen on "+before) {
			if want := "the stream is on the port after --listen: listen on " + taken.Addr().String(); !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
			return
		}
	}
	t.Skip("no free port before a taken one")
}

// The error for an address at which conga cannot listen says what to do.
func TestCannotListen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for addr, want := range map[string]string{
		taken.Addr().String(): "is another conga running there? Choose another port: --listen 127.0.0.1:9000",
		"192.0.2.77:0":        "this machine does not have that address: --listen :0 listens on all of its addresses",
	} {
		if _, _, err := ListenPair(addr); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", addr, err, want)
		}
	}
	if _, _, err := ListenPair("127.0.0.1:65535"); err == nil || !strings.Contains(err.Error(), "65534 is the last one") {
		t.Error(err)
	}
}

func TestWithPort(t *testing.T) {
	for addr, want := range map[string]string{
		"radio":             "radio:7000",
		"radio.":            "radio.:7000",
		"9000":              "127.0.0.1:9000",
		"radio:9000":        "radio:9000",
		"radio:":            "radio:7000",
		" radio ":           "radio:7000",
		"":                  "127.0.0.1:7000",
		":9000":             "127.0.0.1:9000",
		"10.0.0.1":          "10.0.0.1:7000",
		"::1":               "[::1]:7000",
		"[::1]":             "[::1]:7000",
		"[::1]:9000":        "[::1]:9000",
		"fe80::1":           "[fe80::1]:7000",
		"a:b:c":             "",
		"radio:0":           "",
		"radio:65536":       "",
		"radio:music":       "",
		"radio/x:1":         "",
		"http://radio:7000": "",
		"two words":         "",
	} {
		got, err := WithPort(addr, RequestsPort)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", addr, got, err, want)
		}
	}
}
