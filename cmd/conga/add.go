package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"conga/cmd/internal/ask"
	"conga/cmd/internal/cli"
	"conga/cmd/internal/console"
	"conga/messages/plain"
)

type addCmd struct {
	Files []string `arg:"" name:"file" help:"Your music: mp3, or what the radio converts."`
	Name  string   `default:"${name}" placeholder:"NAME" help:"Name that the others see (${default})."`
	radioFlags
}

// Help shows examples.
func (addCmd) Help() string {
	return `The radio must have been started with --accept-uploads. It ends with 0 if the radio has all of the files, also those that it
had before; with 1 if it refuses one, and with 3 if it cannot be reached.

` + cli.Examples(
		"conga add song.mp3", "to the radio on this machine",
		"conga add --server radio.example *.mp3", "to another one",
	)
}

// addJSON is what conga add --json prints. Fields are only added.
type addJSON struct {
	Files []addedJSON `json:"files"`
}

// addedJSON is what became of one file.
type addedJSON struct {
	File  string `json:"file"`
	Done  bool   `json:"done"` // the radio has it
	Song  string `json:"song,omitempty"`
	Title string `json:"title,omitempty"`
	Says  string `json:"says"` // the radio's own words, or what went wrong
}

// Run brings one file after the other.
func (c *addCmd) Run(ctx context.Context, streams *cli.Streams) error {
	radio, err := c.radio()
	if err != nil {
		return err
	}
	defer radio.Close()
	all, refused := addJSON{Files: []addedJSON{}}, 0
	for _, file := range c.Files {
		one, err := c.add(ctx, radio, file)
		if away := (cli.NotReached{}); ctx.Err() != nil || errors.As(err, &away) {
			return errors.Join(err, ctx.Err())
		}
		if err != nil {
			one.Says = err.Error()
			refused++
		}
		all.Files = append(all.Files, one)
		if !c.JSON && (one.Done || len(c.Files) > 1) {
			if _, err := fmt.Fprintf(streams.Out, "%s: %s\n", filepath.Base(file), one.Says); err != nil {
				return err
			}
		}
	}
	if c.JSON {
		if err := c.print(streams.Out, all); err != nil {
			return err
		}
	}
	switch {
	case refused == 0:
		return nil
	case len(c.Files) == 1:
		return errors.New(all.Files[0].Says)
	}
	return fmt.Errorf("%d of %d files were not taken", refused, len(c.Files))
}

func (c *addCmd) add(ctx context.Context, radio *ask.Radio, file string) (addedJSON, error) {
	one := addedJSON{File: file}
	show := meter{name: filepath.Base(file), quiet: c.JSON || !console.IsTerminal(os.Stderr) || os.Getenv("TERM") == "dumb"}
	brought, err := radio.Bring(ctx, file, c.Name, show.show)
	show.clear()
	if err != nil {
		return one, err
	}
	one.Done, one.Song, one.Title, one.Says = true, brought.Song, brought.Title, asCommands(brought.Text)
	return one, nil
}

// meter says on a terminal what happens to a file.
type meter struct {
	name  string
	quiet bool
	said  string
}

func (m *meter) show(what string) {
	text := plain.Text(m.name, 60) + ": " + plain.Text(what, 60)
	if m.quiet || text == m.said {
		return
	}
	m.clear()
	m.said = text
	_, _ = fmt.Fprint(os.Stderr, text) // whom could we tell?
}

// clear takes the line back.
func (m *meter) clear() {
	if m.said != "" {
		_, _ = fmt.Fprint(os.Stderr, "\r"+strings.Repeat(" ", len(m.said))+"\r")
		m.said = ""
	}
}
