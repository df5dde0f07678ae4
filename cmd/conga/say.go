package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"conga/cmd/internal/cli"
	"conga/cmd/internal/picture"
)

// sayJSON is what the commands print with --json that say a line to a radio. Fields are only added.
type sayJSON struct {
	Done   bool     `json:"done"`
	Answer []string `json:"answer"` // the radio's own lines
}

// say says a line and prints the answer. done says by its first line whether it is done.
func (f *radioFlags) say(ctx context.Context, streams *cli.Streams, line string, done func(first string) bool) error {
	radio, err := f.radio()
	if err != nil {
		return err
	}
	answer, err := radio.Say(ctx, line)
	if err != nil {
		return err
	}
	said := sayJSON{Done: done(answer[0]), Answer: answer}
	switch {
	case f.JSON:
		err = f.print(streams.Out, said)
	case said.Done:
		err = f.print(streams.Out, nil, answer...)
	case len(answer) > 1: // several songs that may be meant
		err = f.print(streams.Out, nil, answer[1:]...)
	}
	if err != nil || said.Done {
		return err
	}
	return errors.New(asCommands(answer[0]))
}

// radioWord is a word that people say to a radio, outside of quotes.
var radioWord = regexp.MustCompile(`"[^"]*"|\b(SONGS|REQUESTS|PLAY|CANCEL|SKIP|HISTORY|WHO)\b`)

// asCommands says in a radio's sentence the commands of this program instead of the radio's words.
func asCommands(sentence string) string {
	return radioWord.ReplaceAllStringFunc(sentence, func(word string) string {
		switch {
		case strings.HasPrefix(word, `"`):
			return word
		case word == "REQUESTS":
			return "conga queue"
		}
		return "conga " + strings.ToLower(word)
	})
}

// begins says whether a line begins and ends so.
func begins(with, and string) func(string) bool {
	return func(line string) bool { return strings.HasPrefix(line, with) && strings.Contains(line, and) }
}

type playCmd struct {
	Words []string `arg:"" help:"The song: words of its title and artist, its name, or its number in SONGS."`
	radioFlags
}

// Help shows examples.
func (playCmd) Help() string {
	return `It ends with 0 if the song is in the queue, and with 1 if the radio refuses, or does not know which of several
songs is meant: then it lists them with their numbers.

` + cli.Examples(
		`conga play "ode to joy"`, "by its title",
		"conga play 12", "by its number",
	)
}

// Run asks for the song.
func (c *playCmd) Run(ctx context.Context, streams *cli.Streams) error {
	return c.say(ctx, streams, "PLAY "+strings.Join(c.Words, " "), begins("Song ", " has been requested!"))
}

type cancelCmd struct {
	Words []string `arg:"" optional:"" help:"The song's name, or its number in the queue (your last request)."`
	radioFlags
}

// Help shows examples.
func (cancelCmd) Help() string {
	return "A radio knows you by your address. It ends with 1 if nothing was taken back.\n\n" + cli.Examples("conga cancel", "your last request", "conga cancel 2", "the second in the queue, if it is yours")
}

// Run takes it back.
func (c *cancelCmd) Run(ctx context.Context, streams *cli.Streams) error {
	return c.say(ctx, streams, "CANCEL "+strings.Join(c.Words, " "), begins("Song ", " has been cancelled"))
}

type skipCmd struct{ radioFlags }

// Help shows an example.
func (skipCmd) Help() string {
	return "It ends with 1 if the vote does not count.\n\n" + cli.Examples("conga skip", "one vote for the next song, where the radio has votes")
}

// Run votes.
func (c *skipCmd) Run(ctx context.Context, streams *cli.Streams) error {
	return c.say(ctx, streams, "SKIP", func(line string) bool {
		return strings.HasSuffix(line, " is skipped") || strings.Contains(line, " want to skip ") && !strings.HasPrefix(line, "Those ")
	})
}

type historyCmd struct {
	Page int `arg:"" optional:"" default:"1" help:"Which page (1, the newest)."`
	radioFlags
}

// Help shows examples.
func (historyCmd) Help() string {
	return cli.Examples("conga history", "what was heard last", "conga history --json | jq -r '.songs[].title'", "only the titles of the last forty")
}

// Run prints it.
func (c *historyCmd) Run(ctx context.Context, streams *cli.Streams) error {
	if !c.JSON {
		return c.say(ctx, streams, fmt.Sprint("HISTORY ", c.Page), func(first string) bool { return !strings.HasPrefix(first, "There is no page ") })
	}
	now, err := c.now(ctx)
	if err != nil {
		return err
	}
	all := struct {
		Songs []songJSON `json:"songs"` // the newest first, without the one that is heard now
	}{[]songJSON{}}
	for _, played := range now.History {
		song := songOf(played.Song)
		song.By, song.At, song.Cut = played.By, at(played.AtUs), played.Cut
		all.Songs = append(all.Songs, song)
	}
	return c.print(streams.Out, all)
}

type whoCmd struct {
	Words []string `arg:"" optional:"" help:"Words of their names."`
	radioFlags
}

// Help shows examples.
func (whoCmd) Help() string {
	return cli.Examples("conga who", "who listens", "conga who --json | jq -r '.listeners[].name'", "all names")
}

// Run prints it.
func (c *whoCmd) Run(ctx context.Context, streams *cli.Streams) error {
	words := strings.Join(c.Words, " ")
	if !c.JSON {
		return c.say(ctx, streams, "WHO "+words, func(string) bool { return true })
	}
	now, err := c.now(ctx)
	if err != nil {
		return err
	}
	type listener struct {
		Name string `json:"name"`
	}
	all := struct {
		Listeners []listener `json:"listeners"` // in the order of the chain
		More      int        `json:"more"`      // that are not listed
	}{[]listener{}, now.Chain.More}
	for _, node := range now.Chain.Nodes {
		if picture.Match(node.Name, words) {
			all.Listeners = append(all.Listeners, listener{node.Name})
		}
	}
	return c.print(streams.Out, all)
}
