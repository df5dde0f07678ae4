package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"conga/actors/eventlog/export"
	"conga/cmd/internal/cli"
	"conga/cmd/internal/logbook"
	"conga/messages"
)

const (
	// asksEvery is the pause between two requests.
	asksEvery = 200 * time.Millisecond
	// answersWithin is how long a guest waits for a line.
	answersWithin = 3 * time.Second
)

// guest asks for songs in plain lines, again and again, and takes each request back, so that it can be made again.
type guest struct {
	net     network
	servers []string // host:port of their requests
	at      int      // which of them is asked
	songs   int      // how many there are
	kept    []request
	asked   int            // PLAY was sent so often
	unsure  int            // and no answer came
	refused map[string]int // by answer
}

// request is one that a server has acknowledged.
type request struct {
	song            string
	sent, confirmed time.Time
}

// run asks until ctx ends.
func (g *guest) run(ctx context.Context, chance *rand.Rand) {
	g.refused = map[string]int{}
	for ctx.Err() == nil {
		if err := g.visit(ctx, chance); err != nil {
			g.at = (g.at + 1) % len(g.servers)
		}
		_ = cli.Pause(ctx, asksEvery)
	}
}

// errElsewhere says that another server is to be asked.
var errElsewhere = errors.New("this server does not lead")

// visit connects to a server and asks as long as it answers.
func (g *guest) visit(ctx context.Context, chance *rand.Rand) error {
	conn, err := g.net.dial(ctx, g.servers[g.at])
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	lines := bufio.NewReader(conn)
	say := func(line string) (answer string, err error) {
		_ = conn.SetDeadline(time.Now().Add(answersWithin))
		if _, err := io.WriteString(conn, line+"\n"); err != nil {
			return "", err
		}
		for { // an answer is one line or several
			line, err := lines.ReadString('\n')
			if err != nil {
				return "", err
			}
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "It ") {
				return line, nil
			}
		}
	}
	for {
		sent := time.Now()
		g.asked++
		answer, err := say(fmt.Sprint("PLAY ", 1+chance.IntN(g.songs)))
		if err != nil {
			g.unsure++
			return err
		}
		song, is := strings.CutSuffix(strings.TrimPrefix(answer, "Song "), " has been requested!")
		if is {
			g.kept = append(g.kept, request{song, sent, time.Now()})
		} else {
			g.refused[answer]++
		}
		if strings.HasPrefix(answer, "This server stands by") || strings.HasPrefix(answer, "No server of this radio leads") {
			return errElsewhere
		}
		if _, err := say("CANCEL"); err != nil {
			return err
		}
		if err := cli.Pause(ctx, asksEvery); err != nil {
			return err
		}
	}
}

// apartMost is how far a server's clock may be from this process's, when it writes an event.
const apartMost = time.Second

// lostOf returns the requests that have no event of their own in the log.
func lostOf(kept, log []request) (lost []request) {
	used := make([]bool, len(log))
	for _, r := range kept {
		at := 0
		for at < len(log) && (used[at] || log[at].song != r.song ||
			log[at].confirmed.Before(r.sent.Add(-apartMost)) || log[at].confirmed.After(r.confirmed.Add(apartMost))) {
			at++
		}
		if at == len(log) {
			lost = append(lost, r)
			continue
		}
		used[at] = true
	}
	return lost
}

// queuedIn asks conga for the log, and returns all requests of guests in it.
func queuedIn(programs nodePrograms, n network, log, dir string) ([]request, error) {
	file := filepath.Join(dir, "log.jsonl")
	cmd := exec.Command(programs.conga, "log", "export", file, "--log", log, "--radio", radioName)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := n.start(cmd); err != nil {
		return nil, fmt.Errorf("export the log: %w", err)
	}
	if err := cmd.Wait(); err != nil {
		return nil, fmt.Errorf("export the log: %w: %s", err, said.String())
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readQueued(f)
}

// readQueued returns the requests of people without conga, in an exported log.
func readQueued(r io.Reader) (all []request, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 1<<16), logbook.MaxJSONLine)
	for lines.Scan() {
		record, err := export.DecodeJSON(lines.Bytes())
		if err != nil {
			return nil, err
		}
		if queued, is := record.Event.(*messages.SongQueued); is && queued.GetListenerId() == "" {
			all = append(all, request{song: queued.GetSong(), confirmed: record.Time})
		}
	}
	return all, lines.Err()
}
