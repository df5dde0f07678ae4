package main

import (
	"path/filepath"
	"testing"
)

func TestDataDir(t *testing.T) {
	for _, test := range []struct {
		name, system string
		env          map[string]string
		want         string
	}{
		{"linux", "linux", map[string]string{"HOME": "/home/amy"}, "/home/amy/.local/share/conga"},
		{"xdg", "linux", map[string]string{"HOME": "/home/amy", "XDG_DATA_HOME": "/data"}, "/data/conga"},
		{"xdg relative", "linux", map[string]string{"HOME": "/home/amy", "XDG_DATA_HOME": "data"}, "/home/amy/.local/share/conga"},
		{"mac", "darwin", map[string]string{"HOME": "/Users/amy"}, "/Users/amy/Library/Application Support/conga"},
		{"windows", "windows", map[string]string{"LocalAppData": "/local"}, "/local/conga"},
		{"homeless", "linux", nil, "conga"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := dataDirFor(test.system, func(key string) string { return test.env[key] })
			if filepath.ToSlash(got) != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

func TestWithPort(t *testing.T) {
	for addr, want := range map[string]string{
		"radio":             "radio:7000",
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
		got, err := withPort(addr, requestsPort)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", addr, got, err, want)
		}
	}
}
