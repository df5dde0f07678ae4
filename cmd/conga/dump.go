package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"
)

// dumpTimeout is how long a node may take to answer: it only looks at itself.
const dumpTimeout = 10 * time.Second

type dumpCmd struct {
	Key  string `placeholder:"KEY" help:"Print only this value, as state or state.scheduler."`
	Node string `arg:"" optional:"" default:"127.0.0.1:8000" help:"The node's --http address, HOST or HOST:PORT (${default})."`
}

// Help shows examples.
func (dumpCmd) Help() string {
	return examples(
		"conga dump", "the server on this machine",
		"conga dump 127.0.0.1:8001", "the listener whose ready line says http=127.0.0.1:8001",
		"conga dump | jq .state.chainManager.chain", "who stands in the chain",
		"conga dump --key state", "what the log determines, byte for byte as conga log replay prints it",
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
	answer, err := askNode(ctx, addr, "/debug/dump")
	if err != nil {
		return err
	}
	defer answer.Close()
	if d.Key == "" {
		if _, err := io.Copy(streams.out, answer); err != nil {
			return fmt.Errorf("read the dump of %s: %w", addr, err)
		}
		return nil
	}
	dump, err := io.ReadAll(answer)
	if err != nil {
		return fmt.Errorf("read the dump of %s: %w", addr, err)
	}
	value, err := valueOf(dump, d.Key)
	if err != nil {
		return fmt.Errorf("the dump of %s: %w", addr, err)
	}
	_, err = streams.out.Write(pretty(value))
	return err
}

// askNode gets what a node answers over HTTP. The caller closes it.
func askNode(ctx context.Context, addr, path string) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", addr, err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // one question, and never by a proxy
	answer, err := client.Do(request)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil, fmt.Errorf("nobody answers at %s: start a node there with `conga serve` or `conga join`, or give the http=… address of its ready line", addr)
	case errors.Is(err, context.DeadlineExceeded):
		return nil, fmt.Errorf("no answer from %s within %v: is that the http=… address of a ready line?", addr, dumpTimeout)
	case err != nil:
		return nil, fmt.Errorf("ask %s: %w: is that the http=… address of a ready line?", addr, errors.Unwrap(err))
	}
	if answer.StatusCode != http.StatusOK {
		_ = answer.Body.Close()
		return nil, fmt.Errorf("%s answers %s: is that the http=… address of a ready line?", addr, answer.Status)
	}
	return answer.Body, nil
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
