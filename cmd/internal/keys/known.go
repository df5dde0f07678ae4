package keys

import (
	"bufio"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"conga/cmd/internal/address"
	"conga/messages"
)

// linkScheme begins a join link: conga://HOST:PORT?key=…
const linkScheme = "conga"

// JoinLink returns a link with the addresses of a radio's servers, at least one, and their key. The token is not in it: links
// are pasted into chats, and arguments can be seen in process lists.
func JoinLink(addrs []string, key ed25519.PublicKey) string {
	link := url.URL{Scheme: linkScheme, Host: addrs[0], RawQuery: "key=" + Text(key)}
	for _, other := range addrs[1:] {
		link.RawQuery += "&or=" + legible.Replace(url.QueryEscape(other))
	}
	return link.String()
}

// legible restores what may stand in a link as it is.
var legible = strings.NewReplacer("%3A", ":", "%5B", "[", "%5D", "]")

// ParseServers reads the addresses of a radio's servers, HOST or HOST:PORT with commas in between, or a join link. There is at
// least one. The key is nil if there is none.
func ParseServers(text string) (addrs []string, key ed25519.PublicKey, err error) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, linkScheme+"://") {
		text = strings.Join(strings.Fields(text), "") // a narrow terminal or a chat breaks lines
		if addrs, key, err = parseLink(text); err != nil {
			return nil, nil, err
		}
	} else {
		addrs = strings.Split(text, ",")
	}
	if len(addrs) > messages.MaxServers {
		return nil, nil, fmt.Errorf("a radio has at most %d servers", messages.MaxServers)
	}
	for i, addr := range addrs {
		if len(addrs) > 1 && strings.TrimSpace(addr) == "" {
			return nil, nil, fmt.Errorf("%.100q names a server that has no name", text)
		}
		if addrs[i], err = address.WithPort(addr, address.RequestsPort); err != nil {
			return nil, nil, err
		}
	}
	return addrs, key, nil
}

func parseLink(text string) (addrs []string, key ed25519.PublicKey, err error) {
	none := fmt.Errorf("%.100q is not a join link: conga://HOST:PORT?key=KEY", text)
	link, err := url.Parse(text)
	if err != nil || link.Host == "" || link.User != nil || link.Path != "" && link.Path != "/" || link.Fragment != "" {
		return nil, nil, none
	}
	query, err := url.ParseQuery(link.RawQuery)
	if err != nil {
		return nil, nil, none
	}
	for name, values := range query {
		switch {
		case name == "or":
			continue
		case name == "token" || name == "auth":
			return nil, nil, errors.New("a join link holds no token: give it in CONGA_AUTH")
		case name != "key" || len(values) != 1:
			return nil, nil, fmt.Errorf("the join link says %.40q, which this conga does not know", name)
		}
		if key, err = Parse(values[0]); err != nil {
			return nil, nil, err
		}
	}
	return append([]string{link.Host}, query["or"]...), key, nil
}

// Text returns a key as text, for links and files.
func Text(key ed25519.PublicKey) string { return base64.RawURLEncoding.EncodeToString(key) }

// Parse reads a server's key in hex or any kind of base64.
func Parse(text string) (ed25519.PublicKey, error) {
	const size = ed25519.PublicKeySize
	if key, err := hex.DecodeString(text); err == nil && len(key) == size {
		return key, nil
	}
	plain := strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(text), "=")
	if key, err := base64.RawURLEncoding.Strict().DecodeString(plain); err == nil && len(key) == size {
		return key, nil
	}
	return nil, fmt.Errorf("%.100q is not a server's key: a key is 32 bytes in base64 or hex, as in the server's join link", text)
}

// Ring says which key a server must have: the one that was given, or the one that it had
// before, or, at the first join, any (trust on first use, as ssh does).
type Ring struct {
	Server string            // host:port
	Others []string          // of further servers of the same radio, which must have the same key
	names  []string          // all of them in the form of known_servers
	given  ed25519.PublicKey // by --key or a join link; may be nil
	file   string            // known_servers; empty: nothing is remembered
}

// NewRing returns the ring for a radio's server, and further servers of the same radio. Keys of this machine are not remembered: nobody can be in
// between, and servers on its ports change often.
func NewRing(server string, given ed25519.PublicKey, dir string, others ...string) Ring {
	k := Ring{Server: server, Others: others, given: given}
	for _, addr := range append([]string{server}, others...) {
		if name := sameName(addr); !address.IsLoopback(name) {
			k.names, k.file = append(k.names, name), filepath.Join(dir, "known_servers")
		}
	}
	return k
}

// At is the ring for another server of the same radio, at addr, which must have the key.
func (k Ring) At(addr string, key ed25519.PublicKey) Ring {
	k.Server, k.given = addr, key
	return k
}

// sameName returns the address in the form in which names are compared: radio.example, Radio.Example and
// radio.example. are one host.
func sameName(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return net.JoinHostPort(strings.ToLower(strings.TrimSuffix(host, ".")), port)
}

// Check returns an error unless the server with this key is the intended one.
func (k Ring) Check(key ed25519.PublicKey) error {
	if k.given != nil {
		if !k.given.Equal(key) {
			return fmt.Errorf("the server at %s has the key %s, not the one that you gave, so it is another server: check its address, or ask for the join link, which a server prints when it starts", k.Server, Text(key))
		}
		return nil
	}
	known, err := k.known()
	if err != nil {
		return err
	}
	if known != nil && !known.Equal(key) {
		return fmt.Errorf("the server at %s has another key than before: somebody may be in between, or it lost its data. If you know why, join with --key %s, or remove its line from %s",
			k.Server, Text(key), k.file)
	}
	return nil
}

// Knows says whether Check refuses other keys than the server's. For a server on this machine it says yes, because nobody
// is in between.
func (k Ring) Knows() (bool, error) {
	if k.given != nil || k.file == "" {
		return true, nil
	}
	known, err := k.known()
	return known != nil, err
}

// known returns the key in the file, the last one of a server if there are several, of the first server that has one; nil if
// there is none.
func (k Ring) known() (ed25519.PublicKey, error) {
	if k.file == "" {
		return nil, nil
	}
	file, err := os.Open(k.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up the server's key: %w", err)
	}
	defer func() { _ = file.Close() }() // nothing was written
	for _, name := range k.names {
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return nil, fmt.Errorf("read %s: %w", k.file, err)
		}
		key, err := findKey(file, name)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", k.file, err)
		}
		if key != nil {
			return key, nil
		}
	}
	return nil, nil
}

// findKey reads lines "HOST:PORT KEY" to the end of the file, however long it is: if it stopped at a limit, anybody
// could pose as a server behind it. Other lines and comments (#) are ignored. But the server's own line
// must hold a key: a broken one must not let everybody in.
func findKey(r io.Reader, server string) (key ed25519.PublicKey, err error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) == 0 || fields[0] != server {
			continue
		}
		if len(fields) < 2 {
			return nil, fmt.Errorf("the line of %s has no key", server)
		}
		if key, err = Parse(fields[1]); err != nil {
			return nil, err
		}
	}
	return key, lines.Err()
}

// Keep remembers the key for the next time, if it is not known.
func (k Ring) Keep(key ed25519.PublicKey) error {
	if k.file == "" {
		return nil
	}
	if known, err := k.known(); err != nil || known.Equal(key) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(k.file), 0o700); err != nil {
		return fmt.Errorf("remember the server's key: %w", err)
	}
	file, err := os.OpenFile(k.file, os.O_APPEND|os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("remember the server's key: %w", err)
	}
	line := fmt.Sprintf("%s %s\n", k.names[0], Text(key))
	if unended(file) {
		line = "\n" + line
	}
	_, err = io.WriteString(file, line) // one write: others may append too
	return errors.Join(err, file.Sync(), file.Close())
}

// unended reports whether the last line has no newline, as some editors leave it.
func unended(file *os.File) bool {
	info, err := file.Stat()
	if err != nil || info.Size() == 0 {
		return false
	}
	last := make([]byte, 1)
	_, err = file.ReadAt(last, info.Size()-1)
	return err == nil && last[0] != '\n'
}
