package keys

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"conga/messages"
)

func someKey(seed byte) ed25519.PublicKey {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
	return key.Public().(ed25519.PublicKey)
}

// casesServer serves parsing and the fuzzer's seeds.
var casesServer = []struct {
	text, addr string
	key        ed25519.PublicKey
	wrong      string // in the error
}{
	{text: "radio.example", addr: "radio.example:7000"},
	{text: "conga", addr: "conga:7000"},
	{text: "conga:9000", addr: "conga:9000"},
	{text: "conga://radio.example", addr: "radio.example:7000"},
	{text: "conga://radio.example:9000/", addr: "radio.example:9000"},
	{text: "conga://radio.example?key=" + Text(someKey(1)), addr: "radio.example:7000", key: someKey(1)},
	{text: " conga://[2001:db8::1]:7?key=" + hex.EncodeToString(someKey(1)), addr: "[2001:db8::1]:7", key: someKey(1)},
	{text: "conga://radio.example?key=" + Text(someKey(1))[:20] + "\n" + Text(someKey(1))[20:] + "&or=b\r\n  .example:9000", addr: "radio.example:7000,b.example:9000", key: someKey(1)},
	{text: "conga://?key=" + Text(someKey(1)), wrong: "not a join link"},
	{text: "conga://radio.example/path", wrong: "not a join link"},
	{text: "conga://amy@radio.example", wrong: "not a join link"},
	{text: "conga://radio.example?key=%zz", wrong: "not a join link"},
	{text: "conga://radio.example?key=x", wrong: "not a server's key"},
	{text: "conga://radio.example?key=", wrong: "not a server's key"},
	{text: "conga://radio.example?key=" + Text(someKey(1)) + "&key=" + Text(someKey(2)), wrong: "does not know"},
	{text: "conga://radio.example?token=secret", wrong: "CONGA_AUTH"},
	{text: "conga://radio.example?volume=11", wrong: `"volume"`},
	{text: "conga://radio.example:port", wrong: "not a join link"},
	{text: "conga:/radio.example", wrong: "port"},
	{text: "a.example, b.example:9000", addr: "a.example:7000,b.example:9000"},
	{text: "conga://a.example?key=" + Text(someKey(1)) + "&or=b.example:9000&or=[2001:db8::1]:7", addr: "a.example:7000,b.example:9000,[2001:db8::1]:7", key: someKey(1)},
	{text: "a.example,,b.example", wrong: "no name"},
	{text: "a.example,conga://b.example", wrong: "leave out"},
	{text: "a" + strings.Repeat(",a", messages.MaxServers), wrong: "at most"},
}

func TestParseServer(t *testing.T) {
	for _, c := range casesServer {
		addrs, key, err := ParseServers(c.text)
		addr := strings.Join(addrs, ",")
		if c.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), c.wrong) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s: error %v, want %q in it", c.text, err, c.wrong)
			}
			continue
		}
		if err != nil || addr != c.addr || !key.Equal(c.key) {
			t.Errorf("%s: %s, %x, %v", c.text, addr, key, err)
		}
	}
}

func FuzzParseServer(f *testing.F) {
	for _, c := range casesServer {
		f.Add(c.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		addrs, key, err := ParseServers(text)
		if err != nil {
			return
		}
		for _, addr := range addrs {
			host, port, err := net.SplitHostPort(addr)
			if err != nil || host == "" || port == "" || key != nil && len(key) != ed25519.PublicKeySize {
				t.Fatalf("%q is %q, %x", text, addr, key)
			}
		}
		if key == nil {
			return
		}
		again, same, err := ParseServers(JoinLink(addrs, key))
		if err != nil || !slices.Equal(again, addrs) || !same.Equal(key) {
			t.Errorf("%q: its link leads to %q, %v", text, again, err)
		}
	})
}

func TestParseKey(t *testing.T) {
	key := someKey(3)
	for _, text := range []string{
		Text(key), hex.EncodeToString(key), strings.ToUpper(hex.EncodeToString(key)),
		base64.StdEncoding.EncodeToString(key), base64.RawStdEncoding.EncodeToString(key), base64.URLEncoding.EncodeToString(key),
	} {
		if got, err := Parse(text); err != nil || !got.Equal(key) {
			t.Errorf("%s: %x, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "x", Text(key)[1:], Text(key) + "AA", hex.EncodeToString(key[1:])} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%q is a key", text)
		}
	}
}

// casesKnown are contents of known_servers.
var casesKnown = []struct {
	text  string
	key   ed25519.PublicKey
	wrong bool
}{
	{text: ""},
	{text: "# radio.example:7000 is ours\nother.example:7000 " + Text(someKey(2)) + "\n\n\x00\n"},
	{text: "radio.example:7000 " + Text(someKey(1)) + "\n", key: someKey(1)},
	{text: "radio.example:7000\t" + Text(someKey(1)) + "  # since May", key: someKey(1)},
	{text: "radio.example:7000 " + Text(someKey(1)) + "\nradio.example:7000 " + Text(someKey(2)) + "\n", key: someKey(2)},
	{text: "radio.example:7000\n", wrong: true},
	{text: "radio.example:7000 nonsense\n", wrong: true},
	{text: strings.Repeat("x", 100_000), wrong: true},
}

func TestFindKey(t *testing.T) {
	for _, c := range casesKnown {
		key, err := findKey(strings.NewReader(c.text), "radio.example:7000")
		if (err != nil) != c.wrong || !c.wrong && !key.Equal(c.key) {
			t.Errorf("%.80q: %x, %v", c.text, key, err)
		}
	}
}

func FuzzFindKey(f *testing.F) {
	for _, c := range casesKnown {
		f.Add(c.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if key, err := findKey(strings.NewReader(text), "radio.example:7000"); err == nil && key != nil && len(key) != ed25519.PublicKeySize {
			t.Errorf("%x", key)
		}
	})
}

// As with ssh: the first key is remembered, another one is refused, in words that say
// what to do; and an explicit key wins.
func TestKeyring(t *testing.T) {
	dir := t.TempDir()
	const server = "radio.example:7000"
	k := NewRing(server, nil, dir)
	if err := k.Check(someKey(1)); err != nil {
		t.Fatalf("the first time: %v", err)
	}
	for range 2 {
		if err := k.Keep(someKey(1)); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, "known_servers"))
	if want := server + " " + Text(someKey(1)) + "\n"; err != nil || string(data) != want {
		t.Errorf("kept %q, %v, want %q", data, err, want)
	}
	if err := k.Check(someKey(1)); err != nil {
		t.Errorf("the second time: %v", err)
	}
	if err := NewRing("other.example:7000", nil, dir).Check(someKey(2)); err != nil {
		t.Errorf("another server: %v", err)
	}
	err = k.Check(someKey(2))
	if err == nil {
		t.Fatal("another key is taken")
	}
	for _, part := range []string{server, "--key " + Text(someKey(2)), k.file} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	given := NewRing(server, someKey(2), dir)
	if err := given.Check(someKey(1)); err == nil {
		t.Error("the key that was given is not asked for")
	}
	if err := given.Check(someKey(2)); err != nil {
		t.Errorf("the key that was given: %v", err)
	}
	if err := given.Keep(someKey(2)); err != nil {
		t.Fatal(err)
	}
	if err := k.Check(someKey(2)); err != nil {
		t.Errorf("after it was given once: %v", err)
	}
}

// A key after more than a mebibyte of others is found, and so is one after a line that an editor
// left without a newline.
func TestKeyring_Long(t *testing.T) {
	dir := t.TempDir()
	k := NewRing("radio.example:7000", nil, dir)
	others := strings.Repeat("other.example:7000 "+Text(someKey(2))+"\n", 20_000)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(k.file, []byte(others[:len(others)-1]), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := k.Keep(someKey(1)); err != nil {
		t.Fatal(err)
	}
	if err := k.Check(someKey(3)); err == nil {
		t.Error("another key is taken")
	}
	if err := k.Check(someKey(1)); err != nil {
		t.Errorf("the same key: %v", err)
	}
	if err := NewRing("other.example:7000", nil, dir).Check(someKey(2)); err != nil {
		t.Errorf("the one before: %v", err)
	}
}

// A file that cannot be read lets nobody in.
func TestKeyring_Unreadable(t *testing.T) {
	dir := t.TempDir()
	k := NewRing("radio.example:7000", nil, dir)
	if err := os.MkdirAll(k.file, 0o700); err != nil { // a folder in its place
		t.Fatal(err)
	}
	if err := k.Check(someKey(1)); err == nil {
		t.Error("it is read")
	}
	if err := k.Keep(someKey(1)); err == nil {
		t.Error("it is written")
	}
}

// Servers come and go on this machine's ports.
func TestKeyring_Loopback(t *testing.T) {
	for addr, here := range map[string]bool{
		"127.0.0.1:7000": true, "[::1]:7000": true, "localhost:7000": true, "127.9.9.9:1": true,
		"192.0.2.1:7000": false, "localhost.example:7000": false,
	} {
		if k := NewRing(addr, nil, "dir"); (k.file == "") != here {
			t.Errorf("%s: remembered in %q", addr, k.file)
		}
	}
}

// A key is a radio's, whichever of its servers had it first; one on this machine is never remembered, and keeps no other from it.
func TestKeyring_Servers(t *testing.T) {
	dir := t.TempDir()
	if err := NewRing("b.example:7000", nil, dir).Keep(someKey(1)); err != nil {
		t.Fatal(err)
	}
	for _, k := range []Ring{NewRing("a.example:7000", nil, dir, "b.example:7000"), NewRing("localhost:7000", nil, dir, "b.example:7000")} {
		if knows, err := k.Knows(); !knows || err != nil || k.Check(someKey(1)) != nil || k.Check(someKey(2)) == nil {
			t.Errorf("%s, %s: %v, %v", k.Server, k.Others, knows, err)
		}
	}
	if knows, err := NewRing("localhost:7000", nil, dir, "c.example:7000").Knows(); knows || err != nil {
		t.Errorf("a server elsewhere is trusted as one on this machine: %v, %v", knows, err)
	}
}

// One host has several spellings, and one key.
func TestKeyring_SameName(t *testing.T) {
	dir := t.TempDir()
	if err := NewRing("Radio.Example.:7000", nil, dir).Keep(someKey(1)); err != nil {
		t.Fatal(err)
	}
	for _, addr := range []string{"radio.example:7000", "radio.example.:7000", "RADIO.example:7000"} {
		if NewRing(addr, nil, dir).Check(someKey(1)) != nil || NewRing(addr, nil, dir).Check(someKey(2)) == nil {
			t.Errorf("%s is another server", addr)
		}
	}
	if NewRing("radio.example:7001", nil, dir).Check(someKey(2)) != nil {
		t.Error("another port is the same server")
	}
	if k := NewRing("LOCALHOST.:7000", nil, dir); k.file != "" {
		t.Error("keys of this machine are kept")
	}
}
