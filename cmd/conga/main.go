package main

import (
	"context"
	"io"
	"os"

	"conga/cmd/internal/cli"
	"conga/cmd/internal/logbook"
	"conga/cmd/internal/node"
	"conga/cmd/internal/settings"

	"github.com/alecthomas/kong"
)

func main() { program().Main(wished(os.Args[1:])) }

// commands is the whole command line; each command lives in its own file.
type commands struct {
	Serve       serveCmd         `cmd:"" help:"Play a folder of songs to everyone who joins."`
	Join        joinCmd          `cmd:"" help:"Listen, and pass the music on to the next listener."`
	Tune        tuneCmd          `cmd:"" help:"Click on all loudspeakers at the same moment, to set how late each one is."`
	Demo        demoCmd          `cmd:"" help:"Run a server and listeners in this terminal."`
	Status      statusCmd        `cmd:"" help:"Tell what a radio plays."`
	Songs       songsCmd         `cmd:"" help:"List a radio's songs, or those that have all the words."`
	Queue       queueCmd         `cmd:"" help:"List what is requested, next first."`
	Play        playCmd          `cmd:"" help:"Request a song by its title, its artist or its number."`
	Add         addCmd           `cmd:"" help:"Bring songs of yours to a radio that takes some."`
	Cancel      cancelCmd        `cmd:"" help:"Take back a request of yours."`
	Skip        skipCmd          `cmd:"" help:"Vote for the next song."`
	History     historyCmd       `cmd:"" help:"List what was heard, newest first."`
	Who         whoCmd           `cmd:"" help:"List who listens, in the order of the chain."`
	Dump        dumpCmd          `cmd:"" help:"Print what a running node knows, as JSON."`
	Key         keyCmd           `cmd:"" help:"Carry a radio's key to another machine."`
	Log         logbook.Command  `cmd:"" help:"Read, check, replay and move the event log."`
	Why         whyCmd           `cmd:"" help:"Tell what happened: why the music stopped, or why a song is not played."`
	Version     versionCmd       `cmd:"" help:"Print the version; conga --version does the same."`
	Completion  completionCmd    `cmd:"" help:"Print the script that completes conga's words in bash, zsh or fish."`
	Topics      helpCmd          `cmd:"" name:"help" help:"Show help: of a command, of all settings (config)."`
	ShowVersion kong.VersionFlag `name:"version" hidden:""`
	Config      string           `placeholder:"FILE" help:"File with settings, or none (conga help config names the usual ones)."`

	CompleteWords completeWordsCmd `cmd:"" hidden:"" passthrough:"" help:"What the last word of a command line may become, for those scripts."`

	Speaker speakerCmd `cmd:"" hidden:"" help:"The process of a loudspeaker: plays what comes in, for conga join and demo."`
	Guard   guardCmd   `cmd:"" name:"terminal-guard" hidden:"" help:"Puts the terminal in order if a picture on it breaks down."`
}

// Help is printed below the list of commands.
func (commands) Help() string {
	return cli.Examples(
		"conga demo", "hear it: one server, three listeners, one terminal",
		"conga serve --songs songs", "play a folder on ports 7000 and 7001",
		"conga join radio.example", "listen, and pass it on",
	)
}

func program() cli.Program {
	return cli.Program{
		Name: "conga", Grammar: &commands{}, Settings: settings.New("conga"),
		About: "A radio whose listeners stand in a line: each passes the music on to the next.",
		Words: kong.Vars{"data": node.DataDir(), "listeners": node.ListenersDir(), "name": node.UserName(), "version": thisVersion()},
	}
}

// run is main without the process.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return program().Run(ctx, wished(args), stdin, stdout, stderr)
}
