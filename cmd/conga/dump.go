package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"conga/messages/plain"
)

const (
	// dumpTimeout is how long a node may take to answer: it only looks at itself.
	dumpTimeout = 10 * time.Second
	// maxDump bounds a node's dump: that of a server with 1000 listeners takes 2 MB.
	maxDump = 32 << 20
	// maxHead bounds the headers of its answer.
	maxHead = 16 << 10
)

type dumpCmd struct {
	Key  string `placeholder:"KEY" help:"Print only this value, for example state.scheduler."`
	Node string `arg:"" optional:"" default:"127.0.0.1:8000" help:"The node's --http address, HOST or HOST:PORT (${default})."`
}

// Help shows examples.
func (dumpCmd) Help() string {
	return examples(
		"conga dump", "the server on this machine",
		"conga dump 127.0.0.1:8001", "the listener whose ready line says http=127.0.0.1:8001",
		"conga dump | jq .state.chainManager.chain", "who is in the chain",
		"conga dump --key state", "what follows from the log, byte for byte as conga log replay prints it",
	)
}

// Run prints the node's answer.
func (d *dumpCmd) Run(ctx context.Context, streams *streams) error {
	addr, err := withPort(d.Node, httpPort)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, dumpTimeout)
	defer cancel()
	answer, err := askNode(ctx, addr, "/debug/dump", maxDump)
	if err != nil {
		return err
	}
	defer answer.Close()
	dump, err := io.ReadAll(answer)
	if err != nil {
		return fmt.Errorf("read the dump of %s: %w", addr, err)
	}
	if d.Key == "" {
		_, err := streams.out.Write(plain.JSON(dump))
		return err
	}
	value, err := valueOf(dump, d.Key)
	if err != nil {
		return fmt.Errorf("the dump of %s: %w", addr, err)
	}
	_, err = streams.out.Write(pretty(value))
	return err
}

// askNode gets what a node answers over HTTP, at most limit bytes: more is an error of whoever
// reads it. The caller closes it. Nobody can lead it to another address, and it asks by number,
// for nodes answer to no name that a stranger could have given to their address.
func askNode(ctx context.Context, addr, path string, limit int64) (io.ReadCloser, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	switch {
	case isRefused(err):
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
	return fmt.Errorf("no answer from %s within %v: is that the http=HOST:PORT address of a ready line?", addr, dumpTimeout)
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

// valueOf finds a.b.c in nested objects.
func valueOf(raw json.RawMessage, path string) (json.RawMessage, error) {
	for key := range strings.SplitSeq(path, ".") {
		var object map[string]json.RawMessage
		if err := json.Unmarshal(raw, &object); err != nil {
			return nil, fmt.Errorf("no %s in it: %w", path, err)
		}
		value, is := object[key]
		if !is {
			return nil, fmt.Errorf("no %s in it, but %s", path, strings.Join(slices.Sorted(maps.Keys(object)), ", "))
		}
		raw = value
	}
	return raw, nil
}
