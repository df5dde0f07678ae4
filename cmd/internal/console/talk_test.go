package console

import (
	"bufio"
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestTalk(t *testing.T) {
	for _, test := range []struct {
		name, typed string
		end         bool
		said        []string
	}{
		{"answers in order", "\nSONGS\n  PLAY 1 \n", false, []string{"to SONGS", "to PLAY 1"}},
		{"the end of the input is no END", "SONGS", false, []string{"to SONGS"}},
		{"END", "SONGS\nend\nPLAY 1\n", true, []string{"to SONGS"}},
		{"QUIT", "SONGS\r\nQuit\r\nPLAY 1\r\n", true, []string{"to SONGS"}},
		{"a mark", "\ufeffSONGS\nEND\n", true, []string{"to SONGS"}},
		{"a line without end", strings.Repeat("x", 1<<20), false, []string{"no more lines are read: " + bufio.ErrTooLong.Error()}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var said []string
				end := Talk(t.Context(), strings.NewReader(test.typed),
					func(_ context.Context, line string) []string { return []string{"to " + line} },
					func(lines ...string) { said = append(said, lines...) })
				if end != test.end || !slices.Equal(said, test.said) {
					t.Errorf("end %v, said %q", end, said)
				}
			})
		})
	}
}

// The answer to a request for a song that does not exist says how to find one.
func TestTalk_NoSuchSong(t *testing.T) {
	var said []string
	Talk(t.Context(), strings.NewReader("PLAY nosuch\n"),
		func(context.Context, string) []string { return []string{"Song does not exist"} },
		func(lines ...string) { said = append(said, lines...) })
	if want := []string{"Song does not exist", "SONGS <words> shows the songs that have these words in their names"}; !slices.Equal(said, want) {
		t.Errorf("said %q, want %q", said, want)
	}
}

// If the server is away or frozen and does not answer, END still ends Talk, after any number of
// lines.
func TestTalk_EndUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, typing := io.Pipe()
		done := make(chan bool)
		go func() {
			done <- Talk(t.Context(), in, func(ctx context.Context, _ string) []string {
				<-ctx.Done()
				return nil
			}, func(lines ...string) { t.Errorf("said %q", lines) })
		}()
		_, _ = io.WriteString(typing, strings.Repeat("SONGS\n", 100))
		start := time.Now()
		_, _ = io.WriteString(typing, "END\n")
		if end := <-done; !end || time.Since(start) > answersPatience {
			t.Errorf("end %v after %v", end, time.Since(start))
		}
		synctest.Wait() // for the goroutine that asked
	})
}

// A script's END waits for the answers to what it asked just before.
func TestTalk_EndOfScript(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said []string
		end := Talk(t.Context(), strings.NewReader("PLAY 1\nPLAY 2\nEND\n"), func(_ context.Context, line string) []string {
			time.Sleep(answersPatience / 5)
			return []string{line}
		}, func(lines ...string) { said = append(said, lines...) })
		if !end || !slices.Equal(said, []string{"PLAY 1", "PLAY 2"}) {
			t.Errorf("end %v, said %q", end, said)
		}
	})
}
