package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"conga/cmd/internal/cli"
	"conga/cmd/internal/console"
	"conga/cmd/internal/lan"
)

// findPatience is how long radios in the local network may take to answer.
const findPatience = 1500 * time.Millisecond

// findRadio returns the address of the radio in the local network. If there are several, somebody at a terminal
// chooses.
func findRadio(ctx context.Context, streams *cli.Streams) (addr string, err error) {
	fmt.Fprintln(streams.Err, "looking for a radio in the local network")
	radios := lan.Find(ctx, findPatience)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	var typed io.Reader
	if console.IsTerminal(streams.In) {
		typed = streams.In
	}
	return choose(radios, typed, streams.Err)
}

// choose returns the address of one of the radios. typed is where somebody can type which; nil: nobody can.
func choose(radios []lan.Radio, typed io.Reader, out io.Writer) (addr string, err error) {
	switch {
	case len(radios) == 0:
		return "", errors.New("no radio answers in the local network: give its address, conga join HOST:PORT, or the link that conga serve prints")
	case len(radios) == 1:
		fmt.Fprintf(out, "found %s at %s\n", radios[0].Name, radios[0].Addr)
		return radios[0].Addr, nil
	}
	for i, radio := range radios {
		fmt.Fprintf(out, "%d. %s at %s\n", i+1, radio.Name, radio.Addr)
	}
	if typed == nil {
		return "", fmt.Errorf("%d radios answer in the local network: say which, as in conga join %s", len(radios), radios[0].Addr)
	}
	for {
		fmt.Fprintf(out, "which one, 1 to %d? ", len(radios))
		line, err := typedLine(typed)
		if err != nil {
			return "", errors.New("nothing was chosen")
		}
		if n, err := strconv.Atoi(strings.TrimSpace(line)); err == nil && n >= 1 && n <= len(radios) {
			return radios[n-1].Addr, nil
		}
	}
}

// mostDigits is more than the number of a radio has.
const mostDigits = 64

// typedLine reads a line, and not a byte more: what follows is for the next reader.
func typedLine(r io.Reader) (string, error) {
	var line []byte
	for b := make([]byte, 1); len(line) < mostDigits; {
		if _, err := io.ReadFull(r, b); err != nil {
			return "", err
		}
		if b[0] == '\n' {
			break
		}
		line = append(line, b[0])
	}
	return string(line), nil
}
