package main

import (
	"io"

	"conga/cmd/internal/cli"
	"conga/cmd/internal/settings"

	"github.com/alecthomas/kong"
)

// topics are what conga help knows beside the commands.
var topics = []string{"config"}

// helpCmd is what conga help says that is not the help of a command: that is the same as conga COMMAND --help, see wished.
type helpCmd struct {
	Config helpConfigCmd `cmd:"" help:"List all settings: flags, variables, keys of the file, defaults."`
}

// Help shows examples.
func (helpCmd) Help() string {
	return cli.Examples(
		"conga help join", "the same as conga join --help",
		"conga help config", "all settings, as flags, variables and lines of a file",
	)
}

type helpConfigCmd struct{}

// Help shows an example.
func (helpConfigCmd) Help() string {
	return cli.Examples("conga help config", "all settings, as flags, variables and lines of a file")
}

// Run lists them.
func (helpConfigCmd) Run(parsed *kong.Context, all *settings.Settings, streams *cli.Streams) error {
	_, err := io.WriteString(streams.Out, all.Print(parsed.Model))
	return err
}
