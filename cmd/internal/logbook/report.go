package logbook

import (
	"bufio"
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"conga/actors/eventlog"
	"conga/actors/pacer"
	"conga/cmd/internal/cli"
	"conga/messages/plain"
)

type logReportCmd struct {
	logData
	airtimeFlags
	Totals bool `setting:"-" help:"One line a song, with how often it was played, instead of one each time."`
	JSON   bool `setting:"-" xor:"form" help:"As JSON."`
	CSV    bool `setting:"-" xor:"form" help:"As CSV, for a spreadsheet."`
}

// Help shows examples.
func (logReportCmd) Help() string {
	return `It lists what was played, when, and for how long, as an authors' society asks for it. A song counts with the seconds
that were sent to listeners in that time: one that was skipped with less than it has, one that could not be played not at all.

` + cli.Examples(
		"conga log report --from 2026-11-01 --to 2026-12-01 --csv", "each song of a month, for a spreadsheet",
		"conga log report --from 2026-11-01 --totals", "how often, and for how long, each was played",
		"conga log report --from 24h", "the last day",
	)
}

// Run prints the report.
func (c *logReportCmd) Run(ctx context.Context, streams *cli.Streams) error {
	log, err := c.home().log(ctx)
	if err != nil {
		return err
	}
	err = someEvents(log, c.home().String())
	if err == nil {
		err = c.report(streams, log)
	}
	return errors.Join(c.home().salvage(err), log.Close())
}

func (c *logReportCmd) report(streams *cli.Streams, log *eventlog.Log) error {
	air, err := c.in(log, time.Now())
	if err != nil {
		return err
	}
	songs, err := air.songs(log)
	if err != nil {
		return err
	}
	r := newReport(air, songs)
	out := bufio.NewWriter(streams.Out)
	switch {
	case c.JSON:
		err = r.json(out, c.Totals)
	case c.CSV:
		err = r.csv(out, c.Totals)
	default:
		r.text(out, c.Totals)
	}
	if r.UnsureSeconds > 0 {
		fmt.Fprintf(streams.Err, "the server broke down while a song was on: of %v seconds the log does not say whether they were sent; they are counted\n", r.UnsureSeconds)
	}
	return cmp.Or(err, out.Flush())
}

// report is what was played.
type report struct {
	From          string    `json:"from"`
	To            string    `json:"to"`
	Plays         []play    `json:"plays,omitempty"`
	Songs         []played  `json:"songs,omitempty"`
	Times         int       `json:"times"`
	Seconds       inSeconds `json:"seconds"`
	UnsureSeconds inSeconds `json:"unsureSeconds,omitempty"` // of Seconds: the log does not say whether they were sent
}

// song is what names a song: its file, and its tag.
type song struct {
	Title  string `json:"title,omitempty"`
	Artist string `json:"artist,omitempty"`
	File   string `json:"file"`
}

// play is a song, once.
type play struct {
	At string `json:"at"` // when its first second of that time was heard
	song
	Seconds inSeconds `json:"seconds"`         // that were heard of it in that time
	Length  inSeconds `json:"length"`          // seconds that it has
	Ended   string    `json:"ended,omitempty"` // why it ended early
	On      bool      `json:"on,omitempty"`    // it is still on
}

// played is a song with how often it was played.
type played struct {
	song
	Times   int       `json:"times"`
	Seconds inSeconds `json:"seconds"`
}

func newReport(air airtime, songs []pacer.Aired) report {
	r := report{From: air.from.Format(timeForm), To: air.to.Format(timeForm)}
	totals := map[song]*played{}
	for _, s := range songs {
		parts := air.heard(s)
		name := song{plain.Text(s.Title, 512), plain.Text(s.Artist, 512), plain.Text(s.Name, 512)}
		p := play{
			At: air.at(s, parts[0].First), song: name, Seconds: inSeconds(lasts(s, parts...)),
			Length: inSeconds(lasts(s, pacer.Frames{End: s.Frames})), Ended: plain.Text(s.Why, 512),
			On: s.On && s.Until(s.Frames) > air.now.UnixMicro(), // its server may have stopped long ago
		}
		r.Plays = append(r.Plays, p)
		r.Times, r.Seconds = r.Times+1, r.Seconds+p.Seconds
		r.UnsureSeconds += inSeconds(lasts(s, unsure(s, parts)...))
		if totals[name] == nil {
			totals[name] = &played{song: name}
		}
		totals[name].Times++
		totals[name].Seconds += p.Seconds
	}
	for _, total := range totals {
		r.Songs = append(r.Songs, *total)
	}
	slices.SortFunc(r.Songs, func(a, b played) int {
		return cmp.Or(cmp.Compare(b.Times, a.Times), cmp.Compare(a.File, b.File), cmp.Compare(a.Artist, b.Artist), cmp.Compare(a.Title, b.Title))
	})
	return r
}

// json writes it as one value.
func (r report) json(out io.Writer, totals bool) error {
	if totals {
		r.Plays = nil
	}
	raw, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = out.Write(Pretty(raw))
	return err
}

func (r report) csv(out io.Writer, totals bool) error {
	rows := [][]string{{"heard at", "title", "artist", "file", "seconds", "length", "ended early"}}
	for _, p := range r.Plays {
		rows = append(rows, []string{p.At, cell(p.Title), cell(p.Artist), cell(p.File), p.Seconds.String(), p.Length.String(), cell(p.Ended)})
	}
	if totals {
		rows = [][]string{{"title", "artist", "file", "times", "seconds"}}
		for _, s := range r.Songs {
			rows = append(rows, []string{cell(s.Title), cell(s.Artist), cell(s.File), fmt.Sprint(s.Times), s.Seconds.String()})
		}
	}
	return csv.NewWriter(out).WriteAll(rows)
}

// cell keeps a spreadsheet from taking a text for a formula: tags come from strangers.
func cell(text string) string {
	if text != "" && strings.ContainsAny(text[:1], "=+-@") {
		return "'" + text
	}
	return text
}

// inSeconds is a time that is written in seconds, with three decimals.
type inSeconds time.Duration

// String is the number.
func (s inSeconds) String() string { return fmt.Sprintf("%.3f", time.Duration(s).Seconds()) }

// MarshalJSON writes the number.
func (s inSeconds) MarshalJSON() ([]byte, error) { return []byte(s.String()), nil }

func (r report) text(out io.Writer, totals bool) {
	if totals {
		for _, s := range r.Songs {
			fmt.Fprintf(out, "%6d times %10s  %s\n", s.Times, clock(s.Seconds), s.song)
		}
	} else {
		for _, p := range r.Plays {
			note := ""
			switch {
			case p.On:
				note = "  (still on)"
			case p.Ended != "":
				note = "  (" + p.Ended + ")"
			}
			fmt.Fprintf(out, "%s %8s  %s%s\n", p.At, clock(p.Seconds), p.song, note)
		}
	}
	fmt.Fprintf(out, "from %s to %s: %s, %s, %s of music\n", r.From, r.To, plural(len(r.Songs), "song"), often(r.Times), clock(r.Seconds))
}

func often(times int) string {
	if times == 1 {
		return "played once"
	}
	return fmt.Sprintf("played %d times", times)
}

// clock is a time as a clock shows it: 3:07, 1:02:03.
func clock(of inSeconds) string {
	s := int(time.Duration(of).Round(time.Second).Seconds())
	if s < 3600 {
		return fmt.Sprintf("%d:%02d", s/60, s%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}

// String is how a line names the song: by its tag, and by its file.
func (s song) String() string {
	name := s.File
	if s.Title != "" {
		name = s.Title + "  [" + s.File + "]"
	}
	if s.Artist != "" {
		name = s.Artist + ": " + name
	}
	return name
}
