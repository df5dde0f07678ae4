package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"time"

	"conga/actors"
	"conga/actors/eventlog"
	"conga/cmd/conga/internal/why"
	"conga/messages"
	"conga/messages/plain"
	"conga/transport"
)

const (
	// maxServerLog bounds what the operator's own server may tell.
	maxServerLog = 256 << 20
	// maxListenerAnswer and listenerTimeout bound what a stranger's listener may: about
	// 20,000 events.
	maxListenerAnswer = 8 << 20
	listenerTimeout   = 4 * time.Second
)

type whyCmd struct {
	Name  string `arg:"" optional:"" help:"A listener's name or id, or a song; without it, the whole chain."`
	Since string `default:"10m" placeholder:"TIME" help:"How far back: 10m, 10:11:12 or 2026-11-22T10:11:12Z (${default})."`
	HTTP  string `default:"127.0.0.1:8000" placeholder:"HOST:PORT" help:"The server's --http address (${default})."`
	Data  string `default:"${listeners}" placeholder:"DIR" help:"Where listeners of this machine have their logs (${default})."`
}

// Help shows examples.
func (whyCmd) Help() string {
	return `It asks the server, and the listener if it can be reached, what happened, and answers in sentences.

` + examples(
		"conga why amy", "why did amy's music stop?",
		"conga why bach.mp3", "why is bach.mp3 not played, or was it refused?",
		"conga why --since 1h", "what happened to everybody in the last hour",
	)
}

// Run tells the story.
func (c *whyCmd) Run(ctx context.Context, streams *streams) error {
	addr, err := withPort(c.HTTP, httpPort)
	if err != nil {
		return err
	}
	now := time.Now()
	since, err := when(c.Since, now)
	if err != nil {
		return fmt.Errorf("--since %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, dumpTimeout)
	defer cancel()
	story := why.Story{Name: c.Name, Since: since, Now: now}
	away := askServer(ctx, &story, addr)
	if away != nil {
		if story.Server != nil || c.Name == "" {
			return away
		}
		story.Notes = append(story.Notes, fmt.Sprintf("The server could not be asked (%v).", away))
	}
	c.askListener(ctx, &story, addr)
	if away != nil && story.Node == nil {
		return away
	}
	lines, err := why.Tell(story)
	if err != nil {
		return err
	}
	for _, line := range lines {
		if _, err := fmt.Fprintln(streams.out, line); err != nil {
			return err
		}
	}
	return nil
}

// askServer fills in what the server knows.
func askServer(ctx context.Context, story *why.Story, addr string) error {
	dump, err := askNode(ctx, addr, "/debug/dump", maxDump)
	if err != nil {
		return err
	}
	defer dump.Close()
	var answer struct {
		Node  string             `json:"node"`
		State actors.ServerState `json:"state"`
	}
	if err := json.NewDecoder(dump).Decode(&answer); err != nil {
		return fmt.Errorf("read the dump of %s: %w", addr, err)
	}
	if answer.Node != "server" {
		return fmt.Errorf("%s is the listener %s, not the server: --http takes the http=HOST:PORT address of the server's ready line", addr, plain.Text(answer.Node, messages.MaxName))
	}
	story.State = answer.State
	story.Server, err = eventsOf(ctx, addr, story.Since, maxServerLog)
	if errors.Is(err, errTooLong) {
		err = fmt.Errorf("%w: a shorter --since makes it shorter", err)
	}
	return err
}

// askListener fills in what the listener itself knows, over HTTP or out of its log on this
// machine, or notes why it cannot.
func (c *whyCmd) askListener(ctx context.Context, story *why.Story, server string) {
	if c.Name == "" {
		return
	}
	ids := why.Listeners(*story)
	addr, err := why.Ask(*story)
	if err != nil { // one of them must not speak for the others
		story.Notes = append(story.Notes, err.Error()+".")
		return
	}
	note := ""
	if addr != "" {
		var err error
		if story.Node, err = c.overHTTP(ctx, *story, addr, server, ids); err == nil {
			return
		}
		note = fmt.Sprintf("%s itself could not be asked (%v).", c.Name, err)
	}
	events, err := c.fromDisk(ids, story.Since)
	switch {
	case events != nil:
		story.Node = events
	case err != nil:
		story.Notes = append(story.Notes, fmt.Sprintf("%s's own log could not be read: %v.", c.Name, err))
	case note != "":
		story.Notes = append(story.Notes, note)
	case len(ids) > 0 && addr == "":
		story.Notes = append(story.Notes, fmt.Sprintf("%s's own log, if it keeps one, can be read on its own machine only: conga why tells more there.", c.Name))
	}
}

func (c *whyCmd) overHTTP(ctx context.Context, story why.Story, addr, server string, ids []string) ([]eventlog.Record, error) {
	if onLoopback(addr) && !onLoopback(server) {
		return nil, fmt.Errorf("its address %s can be reached on its own machine only; conga why tells more there", addr)
	}
	ctx, cancel := context.WithTimeout(ctx, listenerTimeout)
	defer cancel()
	dump, err := askNode(ctx, addr, "/debug/dump", maxListenerAnswer)
	if err != nil {
		return nil, err
	}
	defer dump.Close()
	var answer struct {
		Node string `json:"node"`
	}
	if err := json.NewDecoder(dump).Decode(&answer); err != nil {
		return nil, fmt.Errorf("read the dump of %s: %w", addr, err)
	}
	if answer.Node != c.Name && !slices.Contains(ids, c.Name) {
		return nil, fmt.Errorf("at its address %s there is %s now", addr, plain.Text(answer.Node, messages.MaxName))
	}
	return eventsOf(ctx, addr, story.Since, maxListenerAnswer)
}

// fromDisk reads the log that the listener has, or had, on this machine: nil if there
// is none. Without ids the name alone must do.
func (c *whyCmd) fromDisk(ids []string, since time.Time) ([]eventlog.Record, error) {
	dirs, err := filepath.Glob(filepath.Join(c.Data, "*"))
	if err != nil {
		return nil, err
	}
	for _, dir := range dirs {
		key, err := readKey(filepath.Join(dir, identityFile))
		if err != nil {
			continue
		}
		id := transport.IdentityOf(key).ID()
		if !slices.Contains(ids, id) && (len(ids) > 0 || filepath.Base(dir) != folderName(c.Name) && id != c.Name) {
			continue
		}
		log, err := openFolder(dir)
		if err != nil {
			return nil, err
		}
		events, err := eventsSince(log, since)
		return events, errors.Join(err, log.Close())
	}
	return nil, nil
}

// eventsSince are the log's events since then; not nil, even if there are none.
func eventsSince(log *eventlog.Log, since time.Time) ([]eventlog.Record, error) {
	seq, err := log.SeqAt(since)
	if err != nil {
		return nil, err
	}
	events := []eventlog.Record{}
	for record, err := range log.Since(seq) {
		if err != nil {
			return nil, err
		}
		events = append(events, record)
	}
	return events, nil
}

// eventsOf asks a node for its events since then, which take at most limit bytes.
func eventsOf(ctx context.Context, addr string, since time.Time, limit int64) ([]eventlog.Record, error) {
	body, err := askNode(ctx, addr, "/debug/log?since="+url.QueryEscape(since.Format(time.RFC3339Nano)), limit)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	events := []eventlog.Record{}
	lines := bufio.NewScanner(body)
	lines.Buffer(make([]byte, 1<<16), maxJSONLine)
	lines.Split(wholeLines)
	for lines.Scan() {
		record, err := eventlog.DecodeJSON(lines.Bytes())
		if err != nil {
			return nil, fmt.Errorf("read the log of %s: %w", addr, err)
		}
		events = append(events, record)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the log of %s: %w", addr, err)
	}
	return events, nil
}

// wholeLines is bufio.ScanLines, but for a last line without an end: it was cut off.
func wholeLines(data []byte, _ bool) (advance int, token []byte, err error) {
	if end := bytes.IndexByte(data, '\n'); end >= 0 {
		return end + 1, data[:end], nil
	}
	return 0, nil, nil
}

func onLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
