// Package screen shows a radio on a full terminal: what is heard, what comes, the songs and a
// search among them, the chain, and what happens to it.
//
// It decides nothing about the radio: a Source says how things are, and the screen asks it
// ten times a second. Nobody waits for the terminal, because all output goes through an Outlet.
package screen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/term"

	"conga/cmd/internal/console"
)

// pollEvery is how often the picture is drawn. For the bar two seconds would do, but not
// for the buffers.
const pollEvery = 100 * time.Millisecond

// Source is where the screen's facts come from.
type Source struct {
	Title string   // of the facts
	Head  []string // rows at the top that are not cut: links
	Help  []string // further lines for the help
	// Snapshot says how things are now. Only one goroutine calls it.
	Snapshot func() Snapshot
	// Ask answers a typed line (SONGS, PLAY x, REQUESTS); it may block until ctx ends.
	// END never reaches it: it ends Show.
	Ask func(ctx context.Context, line string) []string
	// Search finds the songs with all the words in their names; without words, all songs. It may block like Ask.
	Search func(ctx context.Context, words string) Found
	// Volume sets the volume in percent; it must not block. Nil: nothing is heard here.
	Volume func(percent int)
	// Earlier lets what is heard here come so much earlier, or later, and says how that is now; it may block as
	// Ask. Nil: nothing is heard here.
	Earlier func(by time.Duration) string
	// Kill ends a listener of the chain as a crash does, and says what it did. Nil: none can be.
	Kill func(name string) string
	// Code is a QR code, row by row, and CodeText is its content; nil: there is none.
	Code     []string
	CodeText string
	// Wave names the levels of the snapshots; empty: they are the loudness of the music, if it is heard here.
	Wave string
	// News is shown line by line as it comes; nil and closed are fine.
	News <-chan News

	search func(words string) Found // Search with the picture's context
}

// names are the names of a demo's listeners, first in the chain first.
var names = []string{
	"amy", "bob", "cem", "dora", "emil", "fay", "gus", "hana", "ivo", "jun", "kim", "leo", "mia",
	"nils", "ola", "pia", "quin", "rosa", "sam", "tess", "udo", "vera", "wim", "xena", "yuri", "zoe",
}

// Name is the name of a demo's i-th listener, counted from 0. All names differ.
func Name(i int) string {
	if i < len(names) {
		return names[i]
	}
	return fmt.Sprint(names[i%len(names)], i/len(names)+1)
}

// Lines says in lines what source shows. It returns nil when somebody types END, or when ctx ends. What
// the locale cannot show is written in ASCII.
func Lines(ctx context.Context, source Source, in io.Reader, out io.Writer, locale console.Locale) error {
	ascii := locale == console.OtherLocale || locale != console.UTF8 && console.IsTerminal(out)
	return showLines(ctx, source, in, out, ascii)
}

// Fits says whether a picture can be shown: in and out are a terminal that belongs to this process, and that
// can do more than write lines.
func Fits(in io.Reader, out io.Writer) bool {
	keyboard, typing := in.(term.File)
	return typing && console.IsTerminal(in) && console.IsTerminal(out) && console.Foreground(keyboard) && os.Getenv("TERM") != "dumb"
}

// Picture is Lines on a terminal on which a picture Fits. The picture also shows what C libraries write to file
// descriptor 2. If out stands still, nothing waits for it.
func Picture(ctx context.Context, source Source, in io.Reader, out io.Writer, locale console.Locale) error {
	return showPicture(ctx, source, in, out, locale != console.UTF8, os.Environ())
}

// canvas is a terminal for a picture. An outlet keeps the output until the terminal takes it.
type canvas struct {
	term.File
	outlet *console.Outlet
}

func (c canvas) Write(p []byte) (int, error) { return c.outlet.Write(p) }

func showPicture(ctx context.Context, source Source, in io.Reader, out io.Writer, ascii bool, environ []string, options ...tea.ProgramOption) error {
	ctx, cancel := context.WithCancel(ctx)
	var feeders sync.WaitGroup
	defer feeders.Wait()
	defer cancel()

	var written <-chan string
	if console.IsTerminal(os.Stderr) { // else it does not disturb the picture
		caught, release, err := console.CaptureStderr()
		if err != nil {
			return fmt.Errorf("catch what libraries print: %w", err)
		}
		defer release() // closes written
		written = caught
	}

	ask := func(line string) []string { return source.Ask(ctx, line) }
	source.search = func(words string) Found { return source.Search(ctx, words) }
	var program *tea.Program
	outlet := console.NewOutlet(out, console.OnGap(func(int) { program.Send(tea.ClearScreen()) })) // after a gap the whole picture is drawn again
	outlet.Hurry()
	defer func() { _ = outlet.Finish(console.LastWords) }()
	to := io.Writer(outlet)
	if file, is := out.(term.File); is { // its size is looked at, too
		to = canvas{file, outlet}
		defer console.Guard(file)()
	}
	options = append(options, tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(to), tea.WithEnvironment(environ), tea.WithoutSignalHandler())
	if noColor(environ) {
		options = append(options, tea.WithColorProfile(colorprofile.ASCII))
	}
	picture := newModel(source, ask)
	picture.ascii = ascii
	program = tea.NewProgram(picture, options...)
	feeders.Go(func() { poll(ctx, source, func(s Snapshot) { program.Send(s) }) })
	feeders.Go(func() { feed(ctx, source.News, func(n News) { program.Send(n) }) })
	if written != nil {
		feeders.Go(func() {
			feed(context.Background(), written, func(line string) {
				program.Send(News{At: time.Now(), Kind: Trouble, Text: line})
			})
		})
	}

	if _, err := program.Run(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("draw on the terminal: %w", err)
	}
	return nil
}

// noColor follows no-color.org: any value that is not empty counts. The terminal library takes only a
// true one.
func noColor(environ []string) bool {
	return slices.ContainsFunc(environ, func(v string) bool {
		value, found := strings.CutPrefix(v, "NO_COLOR=")
		return found && value != ""
	})
}

// poll hands over a snapshot at once and then every pollEvery, until ctx ends.
func poll(ctx context.Context, source Source, show func(Snapshot)) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		show(source.Snapshot())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// feed hands over lines until they or ctx end.
func feed[T any](ctx context.Context, lines <-chan T, show func(T)) {
	for {
		select {
		case <-ctx.Done():
			return
		case line, ok := <-lines:
			if !ok {
				return
			}
			show(line)
		}
	}
}

// errEnd ends the program after a typed END.
var errEnd = errors.New("END")
