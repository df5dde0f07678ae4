package screen

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"conga/messages"
)

// showLines is Show without a terminal. The reader of in may outlive it: nothing
// can interrupt a read of a pipe.
func showLines(ctx context.Context, source Source, in io.Reader, out io.Writer) error {
	ctx, stop := context.WithCancelCause(ctx)
	var writing sync.Mutex // many speak, one line at a time
	say := func(lines ...string) {
		writing.Lock()
		defer writing.Unlock()
		for _, line := range lines {
			if _, err := fmt.Fprintln(out, clean(line)); err != nil {
				stop(fmt.Errorf("write: %w", err)) // whoever read along has gone
				return
			}
		}
	}

	var feeders sync.WaitGroup
	feeders.Go(func() {
		var before Snapshot
		poll(ctx, source, func(now Snapshot) {
			say(changes(before, now)...)
			before = now
		})
	})
	feeders.Go(func() { feed(ctx, source.News, func(line string) { say(line) }) })
	go func() {
		lines := bufio.NewScanner(in)
		lines.Buffer(nil, messages.MaxLine)
		for lines.Scan() {
			switch line := strings.TrimSpace(lines.Text()); {
			case line == "":
			case isEnd(line):
				stop(errEnd)
				return
			default:
				say(source.Ask(ctx, line)...)
			}
		}
		if lines.Err() != nil { // end of input is not END; a line without end is neither
			say(fmt.Sprintf("no more lines are read: %v", lines.Err()))
		}
	}()

	<-ctx.Done()
	feeders.Wait()
	if err := context.Cause(ctx); !errors.Is(err, errEnd) && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// changes is what happened between two moments, in lines.
func changes(before, now Snapshot) []string {
	var lines []string
	if now.Song != "" && (now.Song != before.Song || now.Elapsed < before.Elapsed-pollEvery) { // the same song again is news too
		lines = append(lines, fmt.Sprintf("now playing: %s (%s, %s), %s", now.headline(), now.Song, clock(now.Duration), now.asked()))
	}
	if now.chainLine() != before.chainLine() {
		lines = append(lines, "chain: "+now.chainLine())
	}
	if !slices.Equal(now.Queue, before.Queue) {
		queue := "empty"
		if len(now.Queue) > 0 {
			queue = strings.Join(now.Queue, ", ")
		}
		lines = append(lines, "queue: "+queue)
	}
	if now.Sound != before.Sound {
		lines = append(lines, now.Sound)
	}
	return lines
}
