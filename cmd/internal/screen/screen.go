// Package screen shows a whole conga in one terminal: what plays, the chain, the
// queue, and a line to type requests into.
//
// It decides nothing: a Source says how things are, and the screen asks it again ten
// times a second. On a terminal it is a full-screen picture; anywhere else, into a
// file or a pipe, it is plain lines.
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
	"conga/messages/plain"
)

// pollEvery is how often the picture follows the music: a bar of 80 characters and a
// song of three minutes would do with two seconds, the buffers would not.
const pollEvery = 100 * time.Millisecond

// Source is where the screen's facts come from.
type Source struct {
	// Snapshot says how things are now. It is called by one goroutine.
	Snapshot func() Snapshot
	// Ask answers a typed line (SONGS, PLAY x, REQUESTS); it may block until ctx ends.
	// END never reaches it: it ends Show.
	Ask func(ctx context.Context, line string) []string
	// News is shown line by line as it comes; nil and closed are fine.
	News <-chan string
}

// Snapshot is one moment. The screen keeps it and does not change it.
type Snapshot struct {
	Song     string // file name; empty: nothing plays yet
	Title    string // empty: the file does not say
	Artist   string
	Asked    string        // who asked for the song; empty: chance chose
	Elapsed  time.Duration // of the song, as it is heard
	Duration time.Duration
	Chain    []Member // nearest the server first
	Queue    []string // next first
	Sound    string   // where the music is heard, or why it is not: "on the loudspeaker"
}

// Member is one listener of the chain.
type Member struct {
	Name      string
	Relay     string        // host:port
	Received  uint64        // chunks and song changes
	Buffered  time.Duration // music that it has and has not played yet
	Underruns uint64        // times it had none
	Speaker   bool          // it is heard on the loudspeaker
}

// names are the listeners of a demo, first in the chain first.
var names = []string{
	"amy", "bob", "cem", "dora", "emil", "fay", "gus", "hana", "ivo", "jun", "kim", "leo", "mia",
	"nils", "ola", "pia", "quin", "rosa", "sam", "tess", "udo", "vera", "wim", "xena", "yuri", "zoe",
}

// Name is the name of a demo's i-th listener, from 0: no two are the same.
func Name(i int) string {
	if i < len(names) {
		return names[i]
	}
	return fmt.Sprint(names[i%len(names)], i/len(names)+1)
}

// Show shows source until somebody says END or ctx ends; both are nil. It is a
// picture if in and out are a terminal that belongs to this process, else lines. While the
// picture is up, what others write to file descriptor 2 is shown in it. Out may stand still:
// nobody who speaks waits for it. What the locale does not show is told in ASCII.
func Show(ctx context.Context, source Source, in io.Reader, out io.Writer, locale console.Locale) error {
	keyboard, typing := in.(term.File)
	if typing && console.IsTerminal(in) && console.IsTerminal(out) && console.Foreground(keyboard) && os.Getenv("TERM") != "dumb" {
		return showPicture(ctx, source, in, out, locale != console.UTF8, os.Environ())
	}
	ascii := locale == console.OtherLocale || locale != console.UTF8 && console.IsTerminal(out)
	return showLines(ctx, source, in, out, ascii)
}

// canvas is a terminal for a picture: what is drawn waits in an outlet.
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

	written, release, err := console.CaptureStderr()
	if err != nil {
		return fmt.Errorf("catch what libraries print: %w", err)
	}
	defer release() // ends written

	ask := func(line string) []string { return source.Ask(ctx, line) }
	var program *tea.Program
	outlet := console.NewOutlet(out, console.OnGap(func(int) { program.Send(tea.ClearScreen()) })) // a terminal that goes on needs all of it
	outlet.Hurry()
	defer func() { _ = outlet.Finish(console.LastWords) }()
	to := io.Writer(outlet)
	if file, is := out.(term.File); is { // whose size is looked at, too
		to = canvas{file, outlet}
	}
	options = append(options, tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(to), tea.WithEnvironment(environ), tea.WithoutSignalHandler())
	if noColor(environ) {
		options = append(options, tea.WithColorProfile(colorprofile.ASCII))
	}
	picture := newModel(ask)
	picture.ascii = ascii
	program = tea.NewProgram(picture, options...)
	feeders.Go(func() { poll(ctx, source, func(s Snapshot) { program.Send(s) }) })
	feeders.Go(func() { feed(ctx, source.News, func(line string) { program.Send(newsMsg(line)) }) })
	feeders.Go(func() { feed(context.Background(), written, func(line string) { program.Send(stderrMsg(line)) }) })

	if _, err := program.Run(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("draw on the terminal: %w", err)
	}
	return nil
}

// noColor is no-color.org's rule: any value but none. The terminal library wants a
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
func feed(ctx context.Context, lines <-chan string, show func(string)) {
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

// errEnd is how a typed END travels up to Show.
var errEnd = errors.New("END")

// maxText is the longest text that the screen takes from anybody, in bytes: no terminal is
// so wide.
const maxText = 1024

// clean makes text from tags, peers and libraries safe for a terminal.
func clean(text string) string { return plain.Text(text, maxText) }

// clock is a duration as people read it on a player: 3:07, 1:02:09.
func clock(d time.Duration) string {
	s := int(max(0, d).Seconds())
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// headline is the song as people say it.
func (s Snapshot) headline() string {
	switch title, artist := clean(s.Title), clean(s.Artist); {
	case s.Song == "":
		return "nothing plays yet"
	case title == "":
		return clean(s.Song)
	case artist == "":
		return title
	default:
		return title + " · " + artist
	}
}

// asked says why the song is on.
func (s Snapshot) asked() string {
	switch {
	case s.Song == "":
		return ""
	case s.Asked == "":
		return "chosen at random"
	}
	return "asked for by " + clean(s.Asked)
}

// chainLine draws the chain in one line.
func (s Snapshot) chainLine() string {
	line := "server"
	for _, m := range s.Chain {
		line += " → " + m.label()
	}
	return line
}

func (m Member) label() string {
	if m.Speaker {
		return clean(m.Name) + " 🔊"
	}
	return clean(m.Name)
}
