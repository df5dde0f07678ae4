package main

import (
	"os"

	"conga/cmd/internal/cli"
	"conga/cmd/internal/console"

	"github.com/charmbracelet/x/term"
)

// guardCmd is the process that console.Guard starts.
type guardCmd struct{}

// Run waits until the program that draws on the terminal ends.
func (guardCmd) Run(streams *cli.Streams) error {
	if terminal, is := streams.Screen.(term.File); is {
		console.StandGuard(streams.In, terminal, os.Stderr)
	}
	return nil
}
