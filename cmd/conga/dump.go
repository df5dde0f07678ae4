package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"conga/cmd/internal/address"
	"conga/cmd/internal/ask"
	"conga/cmd/internal/cli"
	"conga/cmd/internal/logbook"
	"conga/messages/plain"
)

type dumpCmd struct {
	Key  string `setting:"-" placeholder:"KEY" help:"Print only this value, for example state.scheduler or state.scheduler.queue.0."`
	Node string `arg:"" optional:"" default:"127.0.0.1:8000" help:"The node's --http address, HOST or HOST:PORT (${default})."`
}

// Help shows examples.
func (dumpCmd) Help() string {
	return cli.Examples(
		"conga dump", "the server on this machine",
		"conga dump 127.0.0.1:8001", "the listener whose ready line says http=127.0.0.1:8001",
		"conga dump | jq .state.chainManager.chain", "who is in the chain",
		"conga dump --key state", "what follows from the log, byte for byte as conga log replay prints it",
	)
}

// Run prints the node's answer.
func (d *dumpCmd) Run(ctx context.Context, streams *cli.Streams) error {
	addr, err := address.WithPort(d.Node, address.HTTPPort)
	if err != nil {
		return err
	}
	dump, err := ask.Dump(ctx, addr)
	if err != nil {
		return err
	}
	if d.Key == "" {
		_, err := streams.Out.Write(plain.JSON(dump))
		return err
	}
	value, err := valueOf(dump, d.Key)
	if err != nil {
		return fmt.Errorf("the dump of %s: %w", addr, err)
	}
	_, err = streams.Out.Write(logbook.Pretty(value))
	return err
}

// valueOf finds a.b.c in nested objects, and a.b.0 in lists.
func valueOf(raw json.RawMessage, path string) (json.RawMessage, error) {
	for key := range strings.SplitSeq(path, ".") {
		var object map[string]json.RawMessage
		var list []json.RawMessage
		switch {
		case json.Unmarshal(raw, &object) == nil && object != nil:
			value, is := object[key]
			if !is {
				return nil, fmt.Errorf("no %s in it, but %s", path, strings.Join(slices.Sorted(maps.Keys(object)), ", "))
			}
			raw = value
		case json.Unmarshal(raw, &list) == nil && len(list) > 0:
			n, err := strconv.Atoi(key)
			if err != nil || n < 0 || n >= len(list) {
				return nil, fmt.Errorf("no %s in it: there is a list, whose values are 0 to %d", path, len(list)-1)
			}
			raw = list[n]
		default:
			return nil, fmt.Errorf("no %s in it: in place of %q there is only %.100s", path, key, raw)
		}
	}
	return raw, nil
}
