package main

import "conga/actors/player"

// speakerCmd is the process in which a loudspeaker plays: player.ParseOutput("speaker") starts it.
type speakerCmd struct{}

// Run plays until its input ends or the device is gone.
func (speakerCmd) Run(streams *streams) error {
	player.Speak(streams.in, streams.screen) // bytes, not text
	return nil
}
