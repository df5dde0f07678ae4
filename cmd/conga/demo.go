package main

import (
	"context"
	"errors"
	"fmt"

	"conga/actors/catalog"
	"conga/actors/player"
	"conga/cmd/internal/cli"
	"conga/cmd/internal/demo"
	"conga/cmd/internal/screen"
)

// maxListeners is what one process can feed in real time on a small machine; more
// listeners are more processes.
const maxListeners = 100

type demoCmd struct {
	Listeners int    `default:"3" placeholder:"N" help:"How many listeners are in the chain; you hear the last one (${default})."`
	Output    string `default:"speaker" placeholder:"OUT" help:"Where you hear the last one: speaker, null (nowhere), none or wav:FILE (${default})."`
	Songs     string `default:"songs" placeholder:"DIR" help:"Folder of mp3 files (${default})."`
}

// Help shows examples.
func (demoCmd) Help() string {
	return `Type SONGS, PLAY <name or number>, REQUESTS or END.

` + cli.Examples(
		"conga demo", "a server and three listeners; you hear the last one",
		"conga demo --listeners 10", "a longer chain",
		"conga demo --songs ~/Music", "play your own songs",
	)
}

// Validate refuses a chain that could not be built.
func (c *demoCmd) Validate() error {
	if c.Listeners < 1 || c.Listeners > maxListeners {
		return fmt.Errorf("--listeners %d: from 1 to %d", c.Listeners, maxListeners)
	}
	if _, err := player.ParseOutput(c.Output); err != nil {
		return fmt.Errorf("--%w", err)
	}
	return nil
}

// Run shows the chain until END or until ctx ends.
func (c *demoCmd) Run(ctx context.Context, streams *cli.Streams) error {
	if err := catalog.Check(c.Songs); err != nil {
		return err
	}
	nodes, err := demo.Start(ctx, c.Songs, c.Output, c.Listeners, streams.Play())
	if err != nil {
		return err
	}
	shown := screen.Show(ctx, nodes.Source(ctx), streams.In, streams.Screen, streams.Locale)
	return errors.Join(shown, nodes.Stop())
}
