package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"syscall"
	"time"
)

// dumpTimeout is how long a node may take to answer: it only looks at itself.
const dumpTimeout = 10 * time.Second

type dumpCmd struct {
	Node string `arg:"" optional:"" default:"127.0.0.1:8000" help:"The node's --http address, HOST or HOST:PORT (${default})."`
}

// Help shows examples.
func (dumpCmd) Help() string {
	return examples(
		"conga dump", "the server on this machine",
		"conga dump 127.0.0.1:8001", "the listener whose ready line says http=127.0.0.1:8001",
		"conga dump | jq .state.chainManager.chain", "who stands in the chain",
	)
}

// Run prints the node's answer as it came.
func (d *dumpCmd) Run(ctx context.Context, streams *streams) error {
	addr, err := withPort(d.Node, httpPort)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, dumpTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/debug/dump", http.NoBody)
	if err != nil {
		return fmt.Errorf("ask %s: %w", addr, err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // one question, and never by a proxy
	answer, err := client.Do(request)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("nobody answers at %s: start a node there with `conga serve` or `conga join`, or give the http=… address of its ready line", addr)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("no answer from %s within %v: is that the http=… address of a ready line?", addr, dumpTimeout)
	case err != nil:
		return fmt.Errorf("ask %s: %w: is that the http=… address of a ready line?", addr, errors.Unwrap(err))
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s: is that the http=… address of a ready line?", addr, answer.Status)
	}
	if _, err := io.Copy(streams.out, answer.Body); err != nil {
		return fmt.Errorf("read the dump of %s: %w", addr, err)
	}
	return nil
}
