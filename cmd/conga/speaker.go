package main

import (
	"conga/actors/player"
	"conga/cmd/internal/cli"
)

// speakerCmd is the process in which a loudspeaker plays: player.ParseOutput("speaker") starts it.
type speakerCmd struct{}

// Run plays until its input ends or the device is gone.
func (speakerCmd) Run(streams *cli.Streams) error {
	player.Speak(streams.In, streams.Screen) // bytes, not text
	return nil
}
