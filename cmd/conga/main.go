package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

// Exit codes: what a script can tell apart.
const (
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	ctx, stop := untilTold()
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// sameSignal is how long the same wish may come again: timeout(1), and some shells, signal a process
// and then its whole group, so that it hears it twice.
const sameSignal = 300 * time.Millisecond

// untilTold ends with the first SIGINT, SIGTERM, or SIGHUP: the terminal is closed. Who was started
// with SIGHUP ignored, as by nohup, stays.
func untilTold() (context.Context, context.CancelFunc) {
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		ends = append(ends, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	context.AfterFunc(ctx, func() {
		signal.Ignore(syscall.SIGHUP) // a terminal that is closed says so twice, its shell once more
		// Any other second signal finds nobody listening: it kills.
		time.AfterFunc(sameSignal, stop)
	})
	return ctx, stop
}

// commands is the whole command line; each command lives in its own file.
type commands struct {
	Serve   serveCmd   `cmd:"" help:"Play a folder of songs to everyone who joins."`
	Join    joinCmd    `cmd:"" help:"Listen, and pass the music on to the next listener."`
	Demo    demoCmd    `cmd:"" help:"Run a server and listeners in this terminal."`
	Dump    dumpCmd    `cmd:"" help:"Print what a running node knows, as JSON."`
	Log     logCmd     `cmd:"" help:"Read, check, replay and move the event log."`
	Why     whyCmd     `cmd:"" help:"Tell what happened: why the music stopped, or why a song is not played."`
	Chaos   chaosCmd   `cmd:"" help:"Kill, freeze and restart nodes, and check that nobody else hears it."`
	Version versionCmd `cmd:"" help:"Print the version; conga --version does the same."`
	Speaker speakerCmd `cmd:"" hidden:"" help:"The process of a loudspeaker: plays what comes in, for conga join and demo."`
	Spin    spinCmd    `cmd:"" hidden:"" help:"Use up a processor until the input ends: a busy neighbour, for conga chaos --spin."`
}

// Help is printed below the list of commands.
func (commands) Help() string {
	return examples(
		"conga demo", "hear it: one server, three listeners, one terminal",
		"conga serve --songs songs", "play a folder on ports 7000 and 7001",
		"conga join radio.example", "listen, and pass it on",
	)
}

// run is main without the process: it returns the exit code, and has written one
// line to stderr unless that is 0. It ends when the command does; ctx asks for that.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	streams := newStreams(ctx, stdin, stdout, stderr)
	defer streams.close()
	answered := false // --help and --version answer while parsing; nothing is left to run
	parser := kong.Must(&commands{},
		kong.Name("conga"),
		kong.Description("A radio whose listeners stand in a line: each passes the music on to the next."),
		kong.Writers(streams.out, streams.err),
		kong.Exit(func(int) { answered = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(streams),
		kong.Vars{"data": dataDir(), "listeners": listenersDir(), "name": nodeName(), "usual": list(usual), "outages": list(outages)},
	)
	parsed, err := parser.Parse(wished(args))
	if answered {
		return 0
	}
	if err != nil {
		name := "conga"
		if bad := (*kong.ParseError)(nil); errors.As(err, &bad) {
			name = fullName(bad.Context)
		}
		_, command, _ := strings.Cut(name, " ")
		reason := plainly(strings.TrimPrefix(oneLine(err), command+": ")) // kong's Validate names it too
		fmt.Fprintf(streams.err, "%s: %s (%s --help shows how)\n", name, reason, name)
		return exitUsage
	}
	err = parsed.Run()
	if err = errors.Join(err, streams.finish()); err != nil {
		fmt.Fprintf(streams.err, "%s: %s\n", fullName(parsed), oneLine(err))
		return exitFailed
	}
	return 0
}

// fullName is the command as far as it was understood: "conga serve".
func fullName(parsed *kong.Context) string {
	if selected := parsed.Selected(); selected != nil {
		return selected.FullPath()
	}
	return "conga"
}

// oneLine keeps the promise that an error is one line, whatever it wraps.
func oneLine(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}

// examples lays out pairs of command and explanation as help text.
func examples(pairs ...string) string {
	width := 0
	for i := 0; i < len(pairs); i += 2 {
		width = max(width, len(pairs[i]))
	}
	var text strings.Builder
	text.WriteString("Examples:\n")
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(&text, "  %-*s  %s\n", width, pairs[i], pairs[i+1])
	}
	return text.String()
}
