// Package cli runs a command line: it parses, says in one line what is wrong, and ends with the signals that
// end a program.
package cli

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

	"conga/cmd/internal/settings"

	"github.com/alecthomas/kong"
)

// Exit codes: what a script can tell apart.
const (
	Failed      = 1
	Usage       = 2
	Unreachable = 3 // the node does not answer
)

// sameSignal is how long a second signal counts as the same one: timeout(1), and some shells, signal a process
// and then its whole group, so that the process gets the signal twice.
const sameSignal = 300 * time.Millisecond

// Mistake is an error of the command line that was found only while the command ran.
type Mistake struct{ error }

// Mistakef is a Mistake in these words.
func Mistakef(format string, args ...any) error { return Mistake{fmt.Errorf(format, args...)} }

// NotReached is the error if a node cannot be asked at all.
type NotReached struct{ error }

// Nobody makes the error a NotReached.
func Nobody(err error) error { return NotReached{err} }

// Unwrap returns the error itself.
func (n NotReached) Unwrap() error { return n.error }

// Unwrap returns the error itself.
func (m Mistake) Unwrap() error { return m.error }

// Program is a command line.
type Program struct {
	Name, About string
	Grammar     any // a pointer to kong's structs, whose Run takes a context and Streams
	Words       kong.Vars
	Settings    *settings.Settings // from variables and files; nil: flags only
}

// Main runs the program with this process's arguments and streams, and ends the process.
func (p Program) Main(args []string) {
	ctx, stop := untilTold()
	code := p.Run(ctx, args, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// untilTold returns a context that ends with the first SIGINT, SIGTERM or SIGHUP (the terminal was closed). A process
// that was started with SIGHUP ignored, as by nohup, plays on.
func untilTold() (context.Context, context.CancelFunc) {
	ends := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		ends = append(ends, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), ends...)
	context.AfterFunc(ctx, func() {
		signal.Ignore(syscall.SIGHUP) // a closed terminal sends it twice, its shell once more
		// Any other second signal is not caught and kills the process.
		time.AfterFunc(sameSignal, stop)
	})
	return ctx, stop
}

// Run is Main without the process: it returns the exit code, and has written one
// line to stderr unless that is 0. It ends when the command does, which should be soon after ctx ends.
func (p Program) Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	streams := newStreams(ctx, stdin, stdout, stderr)
	defer streams.close()
	answered := false // --help answers while the line is parsed, and nothing is left to run
	parser := p.Parser(
		kong.Writers(streams.Out, streams.Err),
		kong.Exit(func(int) { answered = true }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(streams),
	)
	parsed, err := parser.Parse(withValues(args))
	if answered {
		return 0
	}
	if err != nil {
		fmt.Fprintln(streams.Err, p.mistake(err, args))
		return Usage
	}
	err = parsed.Run()
	if err = errors.Join(err, streams.finish()); err != nil {
		name := p.fullName(parsed)
		if mistake := (Mistake{}); errors.As(err, &mistake) {
			fmt.Fprintf(streams.Err, "%s: %s (%s --help shows how)\n", name, oneLine(err), name)
			return Usage
		}
		fmt.Fprintf(streams.Err, "%s: %s\n", name, oneLine(err))
		if away := (NotReached{}); errors.As(err, &away) {
			return Unreachable
		}
		return Failed
	}
	return 0
}

// Parser is the command line as kong knows it.
func (p Program) Parser(more ...kong.Option) *kong.Kong {
	all := append([]kong.Option{
		kong.Name(p.Name),
		kong.Description(p.About),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}),
		p.Words,
	}, more...)
	if p.Settings != nil {
		all = append(all, kong.Bind(p.Settings), p.Settings)
	}
	return kong.Must(p.Grammar, all...)
}

// mistake says in one line what is wrong with the command line, or with a setting.
func (p Program) mistake(err error, args []string) string {
	name := p.Name
	if bad := (*kong.ParseError)(nil); errors.As(err, &bad) {
		name = p.fullName(bad.Context)
	}
	if unknown := (settings.Unknown{}); errors.As(err, &unknown) {
		return fmt.Sprintf("%s: %s (%s help config lists all)", name, oneLine(err), p.Name)
	}
	reason := ""
	if wrong := (*settings.Wrong)(nil); errors.As(err, &wrong) {
		reason = wrong.Where + ": " + plainly(oneLine(wrong.Reason), args)
	} else {
		_, command, _ := strings.Cut(name, " ")
		reason = plainly(strings.TrimPrefix(oneLine(err), command+": "), args) // kong's Validate names it too
	}
	if p.Settings != nil {
		reason = p.Settings.Explain(reason)
	}
	return fmt.Sprintf("%s: %s (%s --help shows how)", name, reason, name)
}

// fullName is the command as far as it was understood: "conga serve".
func (p Program) fullName(parsed *kong.Context) string {
	if selected := parsed.Selected(); selected != nil {
		return selected.FullPath()
	}
	return p.Name
}

// oneLine keeps the promise that an error is one line, whatever it wraps.
func oneLine(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}

// Examples lays out pairs of command and explanation as help text.
func Examples(pairs ...string) string {
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
