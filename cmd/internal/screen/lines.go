package screen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"syscall"

	"conga/cmd/internal/console"
)

// showLines is Lines with the reading of in. The goroutine that reads may outlive it, because nothing
// can interrupt a read of a pipe.
func showLines(ctx context.Context, source Source, in io.Reader, out io.Writer, ascii bool) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	outlet := console.NewOutlet(out, console.OnError(func(err error) {
		if errors.Is(err, syscall.EPIPE) { // the reader has gone
			err = errEnd
		}
		stop(fmt.Errorf("write: %w", err))
	}))
	outlet.Hurry()
	defer func() { _ = outlet.Finish(console.LastWords) }()
	say := func(lines ...string) {
		for _, line := range lines {
			line = clean(line)
			if ascii {
				line = console.ASCII(line)
			}
			fmt.Fprintln(outlet, line)
		}
	}

	say(source.Head...)
	var feeders sync.WaitGroup
	feeders.Go(func() {
		var before Snapshot
		poll(ctx, source, func(now Snapshot) {
			say(changes(before, now)...)
			before = now
		})
	})
	feeders.Go(func() { feed(ctx, source.News, func(n News) { say(n.Text) }) })
	go func() {
		if console.Talk(ctx, in, source.Ask, say) {
			stop(errEnd)
		}
	}()

	<-ctx.Done()
	feeders.Wait()
	if err := context.Cause(ctx); !errors.Is(err, errEnd) && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// changes says in lines what happened between two moments.
func changes(before, now Snapshot) []string {
	var lines []string
	if now.Song != "" && (now.Song != before.Song || now.Elapsed < before.Elapsed-pollEvery) { // also if the same song begins again
		lines = append(lines, fmt.Sprintf("now playing: %s (%s, %s), %s", now.headline(), now.Song, clock(now.Duration), now.asked()))
	}
	if now.chainLine() != before.chainLine() {
		lines = append(lines, "chain: "+now.chainLine())
	}
	if queue(now.Queue) != queue(before.Queue) {
		lines = append(lines, "queue: "+queue(now.Queue))
	}
	if now.Sound != before.Sound {
		lines = append(lines, now.Sound)
	}
	return lines
}

func queue(coming []Queued) string {
	if len(coming) == 0 {
		return "empty"
	}
	var songs []string
	for _, q := range coming {
		songs = append(songs, q.Song)
	}
	return strings.Join(songs, ", ")
}

// chainLine draws the chain in one line.
func (s Snapshot) chainLine() string {
	line := "server"
	for _, m := range s.Chain {
		line += " → " + m.label()
	}
	return line
}
