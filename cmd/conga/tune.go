package main

import (
	"context"
	"errors"

	"conga/cmd/internal/cli"
)

type tuneCmd struct {
	Server string `arg:"" optional:"" name:"host[:port]" help:"The radio's address, or a join link; without it, the radio in the local network."`
	Name   string `default:"${name}" placeholder:"NAME" help:"Name of the listener whose loudspeaker it is (${default})."`
	Output string `default:"speaker" words:"speaker,null" placeholder:"OUT" help:"Where it clicks: speaker or null (${default})."`
	Data   string `placeholder:"DIR" help:"Folder of that listener, in which the offset is kept (${listeners}/NAME)."`
	Key    string `placeholder:"KEY" help:"The server's key, in base64 or hex (the key at your first join)."`

	screenFlags
	tokenFlag
}

// Help shows what to do.
func (tuneCmd) Help() string {
	return `It clicks at each full second of the server's clock, instead of the music, and passes the music on like any listener.
All that run it click at the same moment. Start it on two machines: if one clicks later, its loudspeaker is behind. On a
terminal there the keys , and . move it by 1 ms, [ and ] by 5 ms, < and > by 20 ms; elsewhere type OFFSET MS. MEASURE
listens to the microphone for some seconds and says which offset is right; sound needs 3 ms for each metre. What you
set is kept for that device, and conga join uses it from its next start on. END ends it.

` + cli.Examples(
		"conga tune", "the radio in the local network",
		"conga tune radio.example --name kitchen", "for what you start with conga join radio.example --name kitchen",
	)
}

// Validate refuses what does not click.
func (c *tuneCmd) Validate() error {
	if c.Output != "speaker" && c.Output != "null" {
		return errors.New("--output is speaker or null: a recording needs no offset")
	}
	return c.join().Validate()
}

// join is the same listener with music.
func (c *tuneCmd) join() *joinCmd {
	return &joinCmd{
		Server: c.Server, Name: c.Name, Output: c.Output, Data: c.Data, Key: c.Key, Listen: ":0", HTTP: "127.0.0.1:0", Feed: 1,
		screenFlags: c.screenFlags, tokenFlag: c.tokenFlag, clicks: true,
	}
}

// Run clicks until END or until ctx ends.
func (c *tuneCmd) Run(ctx context.Context, streams *cli.Streams) error {
	return c.join().Run(ctx, streams)
}
