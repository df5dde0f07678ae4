package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"conga/messages"
)

type joinCmd struct {
	Server string `arg:"" name:"host[:port]" help:"The server: HOST or HOST:PORT, its port for requests (7000 if none is given)."`
	Name   string `default:"${name}" placeholder:"NAME" help:"What the others call this listener (${default})."`
	Output string `default:"speaker" placeholder:"OUT" help:"speaker, null (silent, at real speed) or wav:FILE (${default})."`
	Listen string `default:":0" placeholder:"HOST:PORT" help:"Where the next listener connects; port 0 takes a free one (${default})."`
	HTTP   string `default:"127.0.0.1:0" placeholder:"HOST:PORT" help:"Where the debug dump is, or off (${default})."`
}

// Help shows examples.
func (joinCmd) Help() string {
	return `When it can relay, it prints one line:

    ready relay=HOST:PORT http=HOST:PORT

Then it takes lines: SONGS, PLAY <name or number>, REQUESTS, END. End of input is not END: it plays on.

` + examples(
		"conga join radio.example", "listen on the loudspeaker",
		"conga join localhost:9000 --output null", "only pass the music on",
		"conga join localhost --output wav:take.wav", "record what is heard",
	)
}

// Validate refuses what could not be played to, before anything is started.
func (c *joinCmd) Validate() error {
	file, isWAV := strings.CutPrefix(c.Output, "wav:")
	switch {
	case isWAV && file == "":
		return errors.New("--output wav: needs a file, as in wav:take.wav")
	case !isWAV && c.Output != "speaker" && c.Output != "null":
		return fmt.Errorf("--output %s is none of speaker, null, wav:FILE", c.Output)
	case len(c.Name) > messages.MaxName:
		return fmt.Errorf("--name is longer than %d bytes", messages.MaxName)
	}
	return nil
}

// Run listens until END or until ctx ends.
func (c *joinCmd) Run(ctx context.Context, io *streams) error {
	return errors.New("the listener is not wired yet")
}
