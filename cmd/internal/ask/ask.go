package ask

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"conga/cmd/internal/address"
)

const (
	// Timeout is how long a node may take to answer: it only looks at itself.
	Timeout = 10 * time.Second
	// MaxDump bounds a node's dump: that of a server with 1000 listeners takes 2 MB.
	MaxDump = 32 << 20
	// maxHead bounds the headers of its answer.
	maxHead = 16 << 10
)

// Node gets what a node answers over HTTP, at most limit bytes: more is an error of whoever
// reads it. The caller closes it. Nobody can lead it to another address, and it asks by number,
// for nodes answer to no name that a stranger could have given to their address.
func Node(ctx context.Context, addr, path string, limit int64) (io.ReadCloser, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	switch {
	case address.IsRefused(err):
		return nil, fmt.Errorf("nobody answers at %s: start a node there with `conga serve` or `conga join`, or give the http=HOST:PORT address of its ready line", addr)
	case errors.Is(err, context.DeadlineExceeded):
		return nil, noAnswer(addr)
	case leadsNowhere(err):
		host, _, _ := net.SplitHostPort(addr)
		return nil, fmt.Errorf("there is no host %s: give the http=HOST:PORT address of a node's ready line", host)
	case err != nil:
		return nil, fmt.Errorf("ask %s: %w: is that the http=HOST:PORT address of a ready line?", addr, err)
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
	case err != nil:
		return nil, fmt.Errorf("ask %s: %w: is that the http=HOST:PORT address of a ready line?", addr, errors.Unwrap(err))
	case answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Encoding") != "":
		_ = answer.Body.Close()
		return nil, fmt.Errorf("%s answers %.100s: is that the http=HOST:PORT address of a ready line?", addr, answer.Status)
	}
	return &bounded{answer.Body, limit}, nil
}

// leadsNowhere says whether a name was not found.
func leadsNowhere(err error) bool {
	lookup := (*net.DNSError)(nil)
	return errors.As(err, &lookup) && lookup.IsNotFound
}

func noAnswer(addr string) error {
	return fmt.Errorf("no answer from %s within %v: is that the http=HOST:PORT address of a ready line?", addr, Timeout)
}

// bounded is an error behind so many bytes.
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
