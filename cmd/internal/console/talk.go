package console

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"conga/messages"
)

const (
	// mostTyped is how many lines may wait for answers to earlier lines.
	mostTyped = 4096
	// answersPatience is how long END waits for the answers to a script's last lines.
	answersPatience = 500 * time.Millisecond
)

// IsEnd reports whether the line is END, or another word that people type for it.
func IsEnd(line string) bool {
	switch strings.ToUpper(strings.TrimSpace(line)) {
	case "END", "QUIT", "EXIT":
		return true
	}
	return false
}

// noSuchSong is a server's answer in the words of 2016, which programs read, too. It does not say what to do, so
// Talk adds that.
var noSuchSong = []string{"Song does not exist"}

// mark begins a file that was saved as "UTF-8 with BOM". It means nothing.
const mark = "\ufeff"

// Talk asks each typed line in order, and prints the answers. It returns true at END, which at a terminal waits
// for no answer, and false when the input or ctx ends.
func Talk(ctx context.Context, in io.Reader, ask func(ctx context.Context, line string) []string, say func(lines ...string)) (end bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	typed, answered := make(chan string, mostTyped), make(chan struct{})
	go func() {
		defer close(answered)
		for line := range typed {
			answer := ask(ctx, line)
			if slices.Equal(answer, noSuchSong) {
				answer = append(answer, "SONGS <words> shows the songs that have these words in their names")
			}
			if ctx.Err() == nil {
				say(answer...)
			}
		}
	}()
	end = read(ctx, in, typed, say)
	close(typed)
	if !end {
		<-answered
	} else if !IsTerminal(in) {
		select {
		case <-answered:
		case <-time.After(answersPatience):
		}
	}
	return end
}

// read passes on lines until the input or ctx ends, or somebody types END.
func read(ctx context.Context, in io.Reader, typed chan<- string, say func(lines ...string)) (end bool) {
	lines := bufio.NewScanner(Keyboard(ctx, in))
	lines.Buffer(nil, messages.MaxLine)
	for lines.Scan() {
		switch line := strings.TrimSpace(strings.TrimPrefix(lines.Text(), mark)); {
		case line == "":
		case IsEnd(line):
			return true
		default:
			select {
			case typed <- line:
			case <-ctx.Done():
				return false
			}
		}
	}
	switch err := lines.Err(); {
	case err != nil: // the input ended in mid-line, which is no END
		say(fmt.Sprintf("no more lines are read: %v", err))
	case ctx.Err() == nil && IsTerminal(in): // Ctrl-D
		say("the input is closed, and no more lines are read: it plays on, Ctrl-C ends it")
	}
	return false
}
