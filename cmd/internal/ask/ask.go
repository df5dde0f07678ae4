package ask

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"conga/cmd/internal/address"
	"conga/transport"
)

const (
	// dumpPath is where a node serves its dump.
	dumpPath = "/debug/dump"
	// dumpTimeout is how long a node may take to answer.
	dumpTimeout = 10 * time.Second
	// maxDump bounds a node's dump, in bytes: a server with 1000 listeners needs 2 MB.
	maxDump = 32 << 20
	// maxHead bounds the headers of its answer.
	maxHead = 16 << 10
)

// here dials from this machine.
func here(ctx context.Context, addr string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
}

// Dump returns the dump of the node at addr, as JSON.
func Dump(ctx context.Context, addr string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, dumpTimeout)
	defer cancel()
	answer, err := get(ctx, here, addr, dumpPath, maxDump)
	if err != nil {
		return nil, err
	}
	defer answer.Close()
	dump, err := io.ReadAll(answer)
	if err != nil {
		return nil, cutOff(addr, err)
	}
	return dump, nil
}

// DumpInto decodes the dump of the node at addr, which is reached by dial.
func DumpInto(ctx context.Context, dial transport.DialFunc, addr string, into any) error {
	return readDump(ctx, dial, addr, maxDump, into)
}

// readDump is DumpInto with a limit for the answer, in bytes.
func readDump(ctx context.Context, dial transport.DialFunc, addr string, limit int64, into any) error {
	ctx, cancel := context.WithTimeout(ctx, dumpTimeout)
	defer cancel()
	dump, err := get(ctx, dial, addr, dumpPath, limit)
	if err != nil {
		return err
	}
	defer dump.Close()
	if err := json.NewDecoder(dump).Decode(into); err != nil {
		if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
			return unlikeNode(addr)
		}
		return cutOff(addr, err)
	}
	return nil
}

// cutOff is the error if an answer does not come whole.
func cutOff(addr string, err error) error {
	if errors.Is(err, errTooLong) {
		return fmt.Errorf("the dump of %s: %w", addr, err)
	}
	return fmt.Errorf("the answer of %s was cut off: ask again", addr)
}

// unlikeNode is the error if what listens there is not a node.
func unlikeNode(addr string) error {
	return fmt.Errorf("what listens at %s is no node's debug address: give the http=HOST:PORT address of its ready line", addr)
}

// get returns a node's answer over HTTP, which the caller closes. Reading more than limit bytes of it is
// an error. It follows no redirect, and asks by number, because nodes answer to no name that a
// stranger could have given to their address.
func get(ctx context.Context, dial transport.DialFunc, addr, path string, limit int64) (io.ReadCloser, error) {
	conn, err := dial(ctx, addr)
	switch {
	case address.IsRefused(err):
		return nil, fmt.Errorf("nobody answers at %s: start a node there with `conga serve` or `conga join`, or give the http=HOST:PORT address of its ready line", addr)
	case errors.Is(err, context.DeadlineExceeded):
		return nil, noAnswer(addr)
	case leadsNowhere(err):
		host, _, _ := net.SplitHostPort(addr)
		return nil, fmt.Errorf("there is no host %s: give the http=HOST:PORT address of a node's ready line", host)
	case err != nil:
		if op := (*net.OpError)(nil); errors.As(err, &op) {
			err = op.Err
		}
		return nil, fmt.Errorf("%s cannot be reached: %w: is that the http=HOST:PORT address of a ready line?", addr, err)
	}
	host := strings.ReplaceAll(conn.RemoteAddr().String(), "%", "%25") // of an IPv6 zone
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+path, http.NoBody)
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("ask %s: %w", addr, err)
	}
	client := http.Client{
		Transport: &http.Transport{ // one question, and never by a proxy
			DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: maxHead,
			DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	answer, err := client.Do(request)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return nil, noAnswer(addr)
	case errors.Is(err, context.Canceled):
		return nil, fmt.Errorf("stopped before %s answered", addr)
	case err != nil: // not HTTP
		return nil, unlikeNode(addr)
	case answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Encoding") != "":
		_ = answer.Body.Close()
		return nil, fmt.Errorf("%s answers %.100s: is that the http=HOST:PORT address of a ready line?", addr, answer.Status)
	}
	return &bounded{answer.Body, limit}, nil
}

// leadsNowhere reports whether a name was not found.
func leadsNowhere(err error) bool {
	lookup := (*net.DNSError)(nil)
	return errors.As(err, &lookup) && lookup.IsNotFound
}

func noAnswer(addr string) error {
	return fmt.Errorf("no answer from %s within %v: is that the http=HOST:PORT address of a ready line?", addr, dumpTimeout)
}

// bounded is a reader that fails after so many bytes.
type bounded struct {
	io.ReadCloser
	left int64
}

var errTooLong = errors.New("the answer is too long")

// Read reads at most what is left, and then tries one byte more.
func (b *bounded) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errTooLong
	}
	return n, err
}
