package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"conga/cmd/internal/ask"
	"conga/cmd/internal/cli"
	"conga/cmd/internal/keys"
	"conga/cmd/internal/node"
	"conga/cmd/internal/picture"
)

// radioFlags say which radio a script means.
type radioFlags struct {
	Server string `default:"127.0.0.1:7000" placeholder:"HOST:PORT" help:"The radio: its address, those of all its servers with commas, or the join link that it prints (${default})."`
	JSON   bool   `setting:"-" help:"Print JSON, for scripts."`

	tokenFlag
}

// Validate is for all that embed it.
func (f *radioFlags) Validate() error {
	if _, _, err := keys.ParseServers(f.Server); err != nil {
		return err
	}
	return f.validate()
}

func (f *radioFlags) radio() (*ask.Radio, error) {
	addrs, key, err := keys.ParseServers(f.Server)
	if err != nil {
		return nil, err
	}
	return &ask.Radio{Ring: keys.NewRing(addrs[0], key, node.DataDir(), addrs[1:]...), Token: f.token()}, nil
}

// now is what the radio says of itself.
func (f *radioFlags) now(ctx context.Context) (ask.Now, error) {
	radio, err := f.radio()
	if err != nil {
		return ask.Now{}, err
	}
	defer radio.Close()
	return radio.Now(ctx)
}

// errNothing is for a question that was answered with nothing: the answer says so, and the exit code.
var errNothing = errors.New("nothing was found")

// print writes JSON, or the lines for people.
func (f *radioFlags) print(w io.Writer, value any, lines ...string) error {
	if f.JSON {
		out := json.NewEncoder(w)
		out.SetEscapeHTML(false)
		out.SetIndent("", "  ")
		return out.Encode(value)
	}
	_, err := io.WriteString(w, strings.Join(append(lines, ""), "\n"))
	return err
}

// songJSON is a song as scripts get it. Fields are only added.
type songJSON struct {
	Name    string     `json:"name"`
	Title   string     `json:"title"`
	Artist  string     `json:"artist"`
	Seconds float64    `json:"seconds"` // 0: nobody knows
	By      string     `json:"by,omitempty"`
	At      *time.Time `json:"at,omitempty"`     // when it is heard
	Waits   string     `json:"waits,omitempty"`  // why others are played before it
	Queued  bool       `json:"queued,omitempty"` // of the songs: it is requested
	Number  int        `json:"number,omitempty"` // of the songs: by which conga play knows it
	Cut     bool       `json:"cut,omitempty"`    // of the history: it was not heard to its end
}

func songOf(s picture.Song) songJSON {
	return songJSON{Name: s.Name, Title: s.Title, Artist: s.Artist, Seconds: float64(s.DurationUs) / 1e6, Queued: s.Waits, Number: s.Number}
}

func at(us int64) *time.Time {
	if us == 0 {
		return nil
	}
	when := time.UnixMicro(us).UTC()
	return &when
}

// line is the song for people.
func (s songJSON) line() string {
	text := s.Title
	if s.Artist != "" {
		text += " – " + s.Artist
	}
	var notes []string
	if s.By != "" {
		notes = append(notes, "for "+s.By)
	}
	switch {
	case s.Waits != "":
		notes = append(notes, "waits: "+s.Waits)
	case s.At != nil:
		when := "from "
		if s.At.Before(time.Now()) {
			when = "since "
		}
		notes = append(notes, when+s.At.Local().Format("15:04:05"))
	}
	if len(notes) > 0 {
		text += " (" + strings.Join(notes, ", ") + ")"
	}
	return text
}

type statusCmd struct {
	Addr string `arg:"" optional:"" name:"host[:port]" help:"The same as --server."`
	radioFlags
}

// Help shows examples.
func (statusCmd) Help() string {
	return `It ends with 0 if music plays or the radio says why none does, else with 1; with 3 if the radio cannot be reached.

` + cli.Examples(
		"conga status", "the radio on this machine",
		"conga status radio.example", "another one",
		"conga status --json | jq -r .song.title", "only the title",
	)
}

// statusJSON is what conga status --json prints. Fields are only added.
type statusJSON struct {
	Server    string     `json:"server"`            // the one that leads
	Asked     string     `json:"asked,omitempty"`   // the one that was asked, if it stands by
	Lacks     string     `json:"lacks,omitempty"`   // what that one lacks of the songs, and what it does about it
	Has       string     `json:"has,omitempty"`     // that it has all songs
	Since     *time.Time `json:"since,omitempty"`   // since when that leads; of a radio of several servers
	Servers   []string   `json:"servers,omitempty"` // all of such a radio
	Playing   bool       `json:"playing"`
	Song      *songJSON  `json:"song"`           // null: nothing plays
	Away      string     `json:"away,omitempty"` // why no song can be played
	Songs     int        `json:"songs"`
	Queue     int        `json:"queue"`
	Listeners int        `json:"listeners"`
	Hops      int        `json:"hops,omitempty"` // how deep the chain is, if it branches
}

// Run prints it.
func (c *statusCmd) Run(ctx context.Context, streams *cli.Streams) error {
	if c.Addr != "" {
		c.Server = c.Addr
	}
	radio, err := c.radio()
	if err != nil {
		return err
	}
	defer radio.Close()
	now, err := radio.Now(ctx)
	if err != nil {
		return err
	}
	server, standsBy, stock := radio.Asked()
	s := statusJSON{
		Server: server, Asked: standsBy, Lacks: stock.Lacks, Has: stock.Has, Songs: now.Now.Songs, Away: now.Now.Away,
		Queue: len(now.Queue.Songs) + now.Queue.More, Listeners: len(now.Chain.Nodes) + now.Chain.More, Hops: now.Chain.Hops,
	}
	first := "nothing plays"
	switch {
	case now.Now.Song != nil:
		song := songOf(*now.Now.Song)
		song.By, song.At = now.Now.By, at(now.Now.PlayAtUs)
		s.Playing, s.Song = true, &song
		first = "plays " + song.line()
	case s.Away == "" && s.Songs == 0:
		s.Away = "there are no songs in the folder"
	}
	if !s.Playing && s.Away != "" {
		first += ": " + s.Away
	}
	if lead := s.lead(now.Lead); lead != "" {
		first = lead + "\n" + first
	}
	listeners := fmt.Sprint(s.Listeners)
	if s.Hops > 0 {
		listeners += fmt.Sprintf(" in branches, at most %d deep", s.Hops)
	}
	err = c.print(streams.Out, s, first, fmt.Sprintf("listeners: %s, requests that wait: %d, songs: %d", listeners, s.Queue, s.Songs))
	if err == nil && !s.Playing && s.Away == "" {
		return errors.New("nothing plays, and the radio does not say why")
	}
	return err
}

// lead says which server leads; empty: there is only the one that was asked.
func (s *statusJSON) lead(lead *picture.Lead) string {
	if lead == nil {
		return ""
	}
	s.Servers, s.Since = lead.Servers, at(lead.SinceUs)
	text := s.Server + " leads"
	if s.Since != nil {
		text += " since " + s.Since.Local().Format("2006-01-02 15:04:05")
	}
	if s.Asked != "" {
		text += ", " + s.Asked + " stands by"
		if stock := cmp.Or(s.Lacks, s.Has); stock != "" {
			text += " and " + stock
		}
		return text
	}
	return fmt.Sprintf("%s; it is one of %d servers", text, len(s.Servers))
}

type songsCmd struct {
	Words []string `arg:"" optional:"" help:"Words of title, artist or name."`
	All   bool     `setting:"-" help:"All of them, not only the first 60."`
	radioFlags
}

// Help shows examples.
func (songsCmd) Help() string {
	return "It ends with 1 if there are none, and with 3 if the radio cannot be reached.\n\n" + cli.Examples(
		"conga songs", "the first songs",
		"conga songs bach prelude", "those that have both words",
		"conga songs --all --json | jq -r '.songs[].name'", "all names",
	)
}

// Run prints them.
func (c *songsCmd) Run(ctx context.Context, streams *cli.Streams) error {
	radio, err := c.radio()
	if err != nil {
		return err
	}
	defer radio.Close()
	found, err := radio.Songs(ctx, strings.Join(c.Words, " "), c.All)
	if err != nil {
		return err
	}
	all := struct {
		Songs []songJSON `json:"songs"`
		Total int        `json:"total"`
	}{[]songJSON{}, found.Total}
	var lines []string
	for _, song := range found.Songs {
		all.Songs = append(all.Songs, songOf(song))
		lines = append(lines, fmt.Sprintf("%d  %s (%s)", song.Number, songOf(song).line(), song.Name))
	}
	if more := found.Total - len(found.Songs); more > 0 {
		lines = append(lines, fmt.Sprintf("… and %d more: give more words, or --all", more))
	}
	if err := c.print(streams.Out, all, lines...); err != nil || found.Total > 0 {
		return err
	}
	return errNothing
}

type queueCmd struct{ radioFlags }

// Help shows examples.
func (queueCmd) Help() string {
	return cli.Examples(
		"conga queue", "what comes next, and when",
		"conga queue --json | jq -r '.songs[].title'", "only the titles",
	)
}

// Run prints it.
func (c *queueCmd) Run(ctx context.Context, streams *cli.Streams) error {
	now, err := c.now(ctx)
	if err != nil {
		return err
	}
	all := struct {
		Songs []songJSON `json:"songs"`
		More  int        `json:"more"` // that are not listed
	}{[]songJSON{}, now.Queue.More}
	var lines []string
	for i, queued := range now.Queue.Songs {
		song := songOf(queued.Song)
		song.By, song.At, song.Waits = queued.By, at(queued.AtUs), queued.Why
		all.Songs = append(all.Songs, song)
		lines = append(lines, fmt.Sprintf("%d. %s", i+1, song.line()))
	}
	switch {
	case all.More > 0:
		lines = append(lines, fmt.Sprintf("… and %d more", all.More))
	case len(lines) == 0:
		lines = []string{"nothing is requested"}
	}
	return c.print(streams.Out, all, lines...)
}
