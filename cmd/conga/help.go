package main

import (
	"io"

	"conga/cmd/internal/cli"
	"conga/cmd/internal/man"
	"conga/cmd/internal/settings"

	"github.com/alecthomas/kong"
)

// topics are what conga help knows beside the commands.
var topics = []string{"config", "man"}

// helpCmd is what conga help says that is not the help of a command: that is the same as conga COMMAND --help, see wished.
type helpCmd struct {
	Config helpConfigCmd `cmd:"" help:"List all settings: flags, variables, keys of the file, defaults."`
	Man    helpManCmd    `cmd:"" help:"Write the manual pages into a folder."`
}

// Help shows examples.
func (helpCmd) Help() string {
	return cli.Examples(
		"conga help join", "the same as conga join --help",
		"conga help config", "all settings, as flags, variables and lines of a file",
		"conga help man pages && man -l pages/conga.1", "the same as manual pages",
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

type helpManCmd struct {
	Dir string `arg:"" name:"dir" help:"Folder for the pages."`
}

// Help shows an example.
func (helpManCmd) Help() string {
	return cli.Examples("conga help man ~/.local/share/man/man1", "where man finds them")
}

// anybody are the words of a page that is made on one machine and read on others.
var anybody = kong.Vars{
	"data": "~/.local/share/conga", "listeners": "~/.local/share/conga/listeners", "name": "your user name",
}

// Run writes them.
func (c *helpManCmd) Run(all *settings.Settings) error {
	p := program()
	p.Words = p.Words.CloneWith(anybody)
	return man.Book{App: p.Parser().Model, Settings: all, Version: thisVersion(), Exit: [][2]string{
		{"0", "It is done."},
		{"1", "It could not be done, or was refused: one line on the standard error says why."},
		{"2", "The command line, a variable or a file is wrong."},
		{"3", "The radio cannot be reached (status, songs, play, add, queue)."},
	}}.Write(c.Dir)
}
