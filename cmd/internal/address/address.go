package address

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"unicode"
)

// Where nodes are, unless a flag or an argument says otherwise.
const (
	RequestsPort = "7000" // the stream is on the port after it
	HTTPPort     = "8000"
)

// ListenAt completes the address at which a user wants to listen: HOST:PORT, :PORT, or PORT alone, which is
// then on host. usual is the port that error messages suggest.
func ListenAt(text, host, usual string) (string, error) {
	text = strings.TrimSpace(text)
	if isPort(text) {
		return net.JoinHostPort(host, text), nil
	}
	at, port, err := net.SplitHostPort(text)
	if text != "" && strings.Trim(text, "0123456789") == "" {
		port, err = text, nil // it is reported as a wrong port
	}
	switch {
	case err != nil && net.ParseIP(strings.Trim(text, "[]")) != nil:
		return "", fmt.Errorf("%s has no port: write %s", text, net.JoinHostPort(strings.Trim(text, "[]"), usual))
	case err != nil && text != "" && !strings.ContainsAny(text, ":/ ") && !unicode.IsDigit(rune(text[0])):
		return "", fmt.Errorf("%s has no port: write %s:%s", text, text, usual)
	case err != nil || strings.ContainsAny(at, "/ "):
		return "", fmt.Errorf("%q is not HOST:PORT, as 127.0.0.1:%s, nor :PORT", text, usual)
	case !isPort(port):
		return "", fmt.Errorf("%q: the port is a number from 0 to 65535, and 0 takes a free one", text)
	}
	return net.JoinHostPort(at, port), nil
}

// isPort reports whether the text is the number of a port, or 0.
func isPort(text string) bool {
	_, err := strconv.ParseUint(text, 10, 16)
	return err == nil
}

// WithPort completes HOST, HOST:PORT, [IPv6], [IPv6]:PORT or a bare IPv6 address to
// host:port; an empty host becomes this machine's loopback address, as does none before a port alone.
func WithPort(addr, port string) (string, error) {
	host := strings.TrimSpace(addr)
	if _, rest, is := strings.Cut(host, "://"); is {
		return "", fmt.Errorf("%q is not HOST or HOST:PORT: leave out what is before %s", addr, strings.TrimRight(rest, "/"))
	}
	switch h, p, err := net.SplitHostPort(host); {
	case isPort(host):
		host, port = "", host
	case err == nil:
		host = h
		if p != "" {
			port = p
		}
	case net.ParseIP(host) != nil: // bare, perhaps IPv6 with all its colons
	case strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]"):
		host = host[1 : len(host)-1]
	case strings.Contains(host, ":"):
		return "", fmt.Errorf("%q is not HOST or HOST:PORT, as radio.example:7000", addr)
	}
	if strings.ContainsAny(host, "/ []") {
		return "", fmt.Errorf("%q is not HOST or HOST:PORT, as radio.example:7000", addr)
	}
	if n, err := net.LookupPort("tcp", port); err != nil || n == 0 {
		return "", fmt.Errorf("%q: the port is a number from 1 to 65535", addr)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

// IsLoopback reports whether only this machine can reach the address.
func IsLoopback(addr string) bool {
	host, _, _ := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
