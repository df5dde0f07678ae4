package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"conga/actors/catalog"
	"conga/actors/player"
	"conga/cmd/internal/cli"
	"conga/cmd/internal/demo"
	"conga/cmd/internal/screen"
	"conga/songs"
)

// maxListeners is how many listeners one process can run in real time on a small machine;
// for more, start more processes.
const maxListeners = 100

type demoCmd struct {
	Listeners int    `default:"3" placeholder:"N" help:"How many listeners are in the chain; you hear the last one (${default})."`
	Output    string `default:"speaker" words:"speaker,null,none,wav:" placeholder:"OUT" help:"Where you hear the last one: speaker, null (plays silently), none or wav:FILE (${default})."`
	Songs     string `placeholder:"DIR" help:"Folder of mp3 files (three songs that come with conga)."`

	screenFlags
}

// Help shows examples.
func (demoCmd) Help() string {
	return `On a terminal, Tab and Ctrl-K kill a listener: you hear nothing of it. Elsewhere, and with --plain,
type SONGS, PLAY <name or number>, REQUESTS or END.

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
	songs, done, err := c.folder()
	if err != nil {
		return err
	}
	defer done()
	show := c.shown(streams)
	defer show.rest(streams.Err)
	pane := show.pane
	if pane == nil {
		pane = screen.NewPane()
	}
	nodes, err := demo.Start(ctx, songs, c.Output, c.Listeners, show.logger, pane)
	if err != nil {
		return err
	}
	draw := screen.Lines
	if show.pane != nil {
		draw = screen.Picture
	}
	shown := draw(ctx, nodes.Source(ctx), show.in, streams.Screen, streams.Locale)
	return errors.Join(shown, nodes.Stop())
}

// folder returns the songs' folder. conga's own songs are written into a folder that done removes.
func (c *demoCmd) folder() (dir string, done func(), err error) {
	if c.Songs != "" {
		return c.Songs, func() {}, catalog.Check(c.Songs)
	}
	if dir, err = os.MkdirTemp("", "conga-songs-"); err != nil {
		return "", nil, fmt.Errorf("write the songs that come with conga: %w", err)
	}
	done = func() { _ = os.RemoveAll(dir) }
	if err := os.CopyFS(dir, songs.Files); err != nil {
		done()
		return "", nil, fmt.Errorf("write the songs that come with conga: %w", err)
	}
	return dir, done, nil
}
