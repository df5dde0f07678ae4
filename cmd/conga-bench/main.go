package main

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"conga/actors/catalog"
	"conga/cmd/conga-bench/internal/result"
	"conga/cmd/conga-bench/internal/usage"
	"conga/cmd/internal/cli"

	"github.com/alecthomas/kong"
)

func main() { benchProgram().Main(os.Args[1:]) }

func benchProgram() cli.Program {
	return cli.Program{
		Name: "conga-bench", Grammar: &benchCmd{},
		About: "Measure conga against small programs that do only the same job.",
		Words: kong.Vars{"kept": kept},
	}
}

type benchCmd struct {
	Run   runCmd   `cmd:"" default:"withargs" help:"Measure, and print a table."`
	Check checkCmd `cmd:"" help:"Compare two runs."`
	Plot  plotCmd  `cmd:"" help:"Draw how costs grow with the chain."`

	Worker workerCmd `cmd:"" hidden:""`
}

type runCmd struct {
	Rounds  int           `default:"5" placeholder:"N" help:"How often each line is measured; the median counts (${default})."`
	Nodes   []int         `default:"1,10,100,1000" placeholder:"N,..." help:"Lengths of the chain (${default})."`
	For     time.Duration `default:"3s" placeholder:"TIME" help:"How long each measurement of a running chain takes (${default})."`
	Settle  time.Duration `default:"5s" placeholder:"TIME" help:"How long a chain runs before it is measured (${default})."`
	Calm    time.Duration `default:"1m" placeholder:"TIME" help:"How long the longest one runs on until its listeners know the time, before its server is measured again (${default})."`
	Joins   int           `default:"20" placeholder:"N" help:"How many listeners join, hear and leave in a round (${default})."`
	Events  int           `default:"1000000" placeholder:"N" help:"Events in a large log (${default})."`
	Only    []string      `placeholder:"GROUP,..." help:"Only these groups of lines: chain, joins, relay, decode, log, program; longest and clone take long."`
	Long    bool          `help:"Also what takes long: the longest chain in real time, and how long it takes from a fresh clone to sound."`
	JSON    string        `name:"json" placeholder:"FILE" help:"Write the figures to this file."`
	Songs   string        `default:"songs" placeholder:"DIR" help:"Folder of mp3 files (${default})."`
	Data    string        `placeholder:"DIR" help:"Where logs are written while they are measured: the disk counts (the system's folder for such files)."`
	Conga   string        `placeholder:"FILE" help:"The conga to measure (the one beside this program)."`
	Profile string        `placeholder:"DIR" help:"Also write profiles of the processor time of running chains into this folder."`
	Log     string        `placeholder:"FILE" help:"Write what the measured programs say to this file."`
}

// Help shows examples.
func (runCmd) Help() string {
	return `Each line compares a figure of conga with that of a baseline, a small program that does only the same job.
Both are measured in the same minute, in turn, and the median of the rounds counts.

` + cli.Examples(
		"conga-bench", "all lines, about twenty minutes",
		"conga-bench --only chain --nodes 10 --rounds 1", "a quick look",
		"conga-bench --json new.json", "also as JSON",
		"conga-bench --long", "half an hour more",
		"conga-bench check new.json", "what got worse since the last run that was kept?",
	)
}

// Validate refuses what cannot be measured.
func (c *runCmd) Validate() error {
	for _, n := range c.Nodes {
		if n < 1 || n > 5000 {
			return fmt.Errorf("--nodes %d: from 1 to 5000", n)
		}
	}
	for _, name := range c.Only {
		if !known(name) {
			return fmt.Errorf("--only %s: it is one of %s", name, strings.Join(names(), ", "))
		}
	}
	switch {
	case c.Rounds < 1 || c.Rounds > 100 || c.Joins < 1 || c.Joins > 1000:
		return fmt.Errorf("--rounds %d, --joins %d: from 1 to 100 and from 1 to 1000", c.Rounds, c.Joins)
	case c.For <= 0 || c.Settle < 0 || c.Calm < 0:
		return errors.New("--for, --settle and --calm are times, as 3s")
	case c.Events < 1000:
		return errors.New("--events: at least 1000")
	}
	return nil
}

// bench is one run.
type bench struct {
	*runCmd
	conga  string // the program
	logs   io.Writer
	say    func(format string, args ...any)
	result result.Run
}

// lacks notes what could not be measured.
func (b *bench) lacks(format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	b.say("%s", what)
	b.result.Lacks(what)
}

// Run measures, prints the table and writes the JSON.
func (c *runCmd) Run(ctx context.Context, streams *cli.Streams) error {
	run, err := c.measure(ctx, func(format string, args ...any) { fmt.Fprintf(streams.Err, format+"\n", args...) })
	if err != nil {
		return err
	}
	if err := run.Table(streams.Out, goals); err != nil {
		return err
	}
	if c.JSON == "" {
		return nil
	}
	data, err := run.Encode()
	if err != nil {
		return err
	}
	return os.WriteFile(c.JSON, data, 0o644)
}

func (c *runCmd) measure(ctx context.Context, say func(string, ...any)) (run result.Run, err error) {
	if err := catalog.HasSong(c.Songs); err != nil {
		return run, err
	}
	program, err := findConga(c.Conga)
	if err != nil {
		return run, err
	}
	b := &bench{runCmd: c, conga: program, logs: io.Discard, say: say}
	if c.Log != "" {
		file, err := os.Create(c.Log)
		if err != nil {
			return run, fmt.Errorf("write the log: %w", err)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		b.logs = file
	}
	built, err := buildinfo.ReadFile(program)
	if err != nil {
		return run, fmt.Errorf("ask %s for its version: %w", program, err)
	}
	before, err := usage.Load()
	if err != nil {
		return run, fmt.Errorf("ask how busy the machine is: %w: conga-bench runs on Linux", err)
	}
	b.result = result.Run{
		Date: time.Now().UTC().Truncate(time.Second), Version: versionOf(built), Go: built.GoVersion, System: usage.System(),
		Cores: runtime.NumCPU(), Load: [2]result.Load{result.Load(before), 0}, Rounds: c.Rounds,
	}
	if b.result.IsBusy() {
		say("the machine is busy (load %.2f): these figures will be worth little", before)
	}
	if c.Long && !slices.Contains(c.Nodes, wanted) {
		c.Nodes = append(c.Nodes, wanted)
	}
	for _, group := range b.groups() {
		began := time.Now()
		if err := group.run(ctx); ctx.Err() != nil {
			b.lacks("what comes after %s: it was stopped", group.name)
			break
		} else if err != nil { // the others count all the same
			b.lacks("%s: %v", group.name, err)
		}
		say("%s: %v", group.name, time.Since(began).Round(time.Second))
	}
	b.result.Arrange()
	after, err := usage.Load()
	b.result.Load[1] = result.Load(after)
	return b.result, err
}

// versionOf says which commit a program was built of, as far as it knows.
func versionOf(built *debug.BuildInfo) string {
	version := built.Main.Version
	for _, s := range built.Settings {
		switch {
		case s.Key == "vcs.revision" && !strings.Contains(version, s.Value[:min(12, len(s.Value))]):
			version += " " + s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true" && !strings.HasSuffix(version, "+dirty"):
			version += "+dirty"
		}
	}
	return version
}
