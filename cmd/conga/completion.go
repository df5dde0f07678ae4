package main

import (
	"io"

	"conga/cmd/internal/cli"
	"conga/cmd/internal/completion"

	"github.com/alecthomas/kong"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help shows examples.
func (completionCmd) Help() string {
	return cli.Examples(
		"conga completion bash", "print the script; your shell runs it with: source <(conga completion bash)",
		"conga completion zsh > ~/.zfunc/_conga", "for zsh, if ~/.zfunc is in its $fpath",
		"conga completion fish > ~/.config/fish/completions/conga.fish", "for fish",
	)
}

// Run prints the script.
func (c *completionCmd) Run(streams *cli.Streams) error {
	script, err := completion.Script(c.Shell)
	if err == nil {
		_, err = streams.Screen.Write(script) // with its tabs
	}
	return err
}

// completeWordsCmd is what the scripts ask.
type completeWordsCmd struct {
	Words []string `arg:"" optional:""`
}

// Run offers what the last word may become. The first is the shell.
func (c *completeWordsCmd) Run(parsed *kong.Context, streams *cli.Streams) error {
	if len(c.Words) == 0 {
		return cli.Mistakef("name the shell")
	}
	_, err := io.WriteString(streams.Screen, completion.For(parsed.Model, c.Words[0], c.Words[1:]).Lines())
	return err
}
