package main

import (
	"context"
	"fmt"
	"time"

	"conga/cmd/internal/address"
	"conga/cmd/internal/ask"
	"conga/cmd/internal/cli"
	"conga/cmd/internal/logbook"
	"conga/cmd/internal/why"
)

type whyCmd struct {
	Name  string `arg:"" optional:"" help:"A listener's name or id, or a song; without it, the whole chain."`
	Since string `setting:"-" default:"10m" placeholder:"TIME" help:"How far back: 10m, 10:11:12 or 2026-11-22T10:11:12Z (${default})."`
	HTTP  string `default:"127.0.0.1:8000" placeholder:"HOST:PORT" help:"The server's --http address (${default})."`
	Data  string `setting:"-" default:"${listeners}" placeholder:"DIR" help:"Folder with the logs of this machine's listeners (${default})."`
}

// Help shows examples.
func (whyCmd) Help() string {
	return `It asks the server and, if it can be reached, the listener, and answers in sentences.

` + cli.Examples(
		"conga why amy", "why did amy's music stop?",
		"conga why bach.mp3", "why is bach.mp3 not played? Was it refused?",
		"conga why --since 1h", "what happened to everybody in the last hour",
	)
}

// Run tells the story.
func (c *whyCmd) Run(ctx context.Context, streams *cli.Streams) error {
	addr, err := address.WithPort(c.HTTP, address.HTTPPort)
	if err != nil {
		return err
	}
	now := time.Now()
	since, err := logbook.When(c.Since, now)
	if err != nil {
		return fmt.Errorf("--since %w", err)
	}
	if since.After(now) {
		return fmt.Errorf("--since %s has not come yet: name a time that is over, as 10m for ten minutes ago", c.Since)
	}
	story := why.Story{Name: c.Name, Since: since, Now: now}
	away := ask.Server(ctx, &story, addr)
	if away != nil {
		if story.Server != nil || c.Name == "" {
			return away
		}
		story.Notes = append(story.Notes, fmt.Sprintf("The server could not be asked (%v).", away))
	}
	ask.Listener(ctx, &story, addr, c.Data)
	if away != nil && story.Node == nil {
		return away
	}
	lines, err := why.Tell(story)
	if err != nil {
		return err
	}
	for _, line := range lines {
		if _, err := fmt.Fprintln(streams.Out, line); err != nil {
			return err
		}
	}
	return nil
}
