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
	// maxServerStory bounds what the operator's own server may tell, storyTimeout how long it may
	// take to read its log.
	maxServerStory = 64 << 20
	storyTimeout   = 2 * time.Minute
	// maxListenerAnswer and listenerTimeout bound what a stranger's listener may: about
	// 20,000 events.
	maxListenerAnswer = 8 << 20
	listenerTimeout   = 4 * time.Second
)

type whyCmd struct {
	Name  string `arg:"" optional:"" help:"A listener's name or id, or a song; without it, the whole chain."`
	Since string `default:"10m" placeholder:"TIME" help:"How far back: 10m, 10:11:12 or 2026-11-22T10:11:12Z (${default})."`
	HTTP  string `default:"127.0.0.1:8000" placeholder:"HOST:PORT" help:"The server's --http address (${default})."`
	Data  string `default:"${listeners}" placeholder:"DIR" help:"Folder with the logs of this machine's listeners (${default})."`
}

// Help shows examples.
func (whyCmd) Help() string {
	return `It asks the server and, if it can be reached, the listener, and answers in sentences.

` + examples(
		"conga why amy", "why did amy's music stop?",
		"conga why bach.mp3", "why is bach.mp3 not played? Was it refused?",
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
	within, cancel := context.WithTimeout(ctx, dumpTimeout)
	defer cancel()
	dump, err := askNode(within, addr, "/debug/dump", maxDump)
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
	within, cancel = context.WithTimeout(ctx, storyTimeout)
	defer cancel()
	story.Server, story.ServerBegins, err = storyFrom(within, addr, *story, maxServerStory)
	return err
}

// askListener fills in what the listener itself knows, over HTTP or out of its log on this
// machine, or notes why it cannot.
func (c *whyCmd) askListener(ctx context.Context, story *why.Story, server string) {
	if c.Name == "" {
		return
	}
	ids := why.Listeners(*story)
	id, addr, err := why.Ask(*story)
	if err != nil { // one of them must not speak for the others
		story.Notes = append(story.Notes, err.Error()+".")
		return
	}
	note := ""
	if addr != "" {
		var err error
		if story.Node, story.NodeBegins, err = c.overHTTP(ctx, *story, addr, server, ids); err == nil {
			story.NodeID = id
			return
		}
		note = fmt.Sprintf("%s itself could not be asked (%v).", c.Name, err)
	}
	own, err := c.fromDisk(ctx, ids, story.Since)
	switch {
	case own.id != "":
		story.NodeID, story.Node, story.NodeBegins = own.id, own.events, own.begins
	case err != nil:
		story.Notes = append(story.Notes, fmt.Sprintf("%s's own log could not be read: %v.", c.Name, err))
	case note != "":
		story.Notes = append(story.Notes, note)
	case len(ids) > 0 && addr == "":
		story.Notes = append(story.Notes, fmt.Sprintf("%s's own log, if it keeps one, can be read only on its own machine: run conga why there to learn more.", c.Name))
	}
}

func (c *whyCmd) overHTTP(ctx context.Context, story why.Story, addr, server string, ids []string) (events []eventlog.Record, begins time.Time, err error) {
	if onLoopback(addr) && !onLoopback(server) {
		return nil, begins, fmt.Errorf("its address %s can be reached only from its own machine; run conga why there to learn more", addr)
	}
	ctx, cancel := context.WithTimeout(ctx, listenerTimeout)
	defer cancel()
	dump, err := askNode(ctx, addr, "/debug/dump", maxListenerAnswer)
	if err != nil {
		return nil, begins, err
	}
	defer dump.Close()
	var answer struct {
		Node string `json:"node"`
	}
	if err := json.NewDecoder(dump).Decode(&answer); err != nil {
		return nil, begins, fmt.Errorf("read the dump of %s: %w", addr, err)
	}
	if answer.Node != c.Name && !slices.Contains(ids, c.Name) {
		return nil, begins, fmt.Errorf("its address %s now belongs to %s", addr, plain.Text(answer.Node, messages.MaxName))
	}
	return storyFrom(ctx, addr, story, maxListenerAnswer)
}

// ownLog is what a listener's own log says; without an id there is none.
type ownLog struct {
	id     string
	events []eventlog.Record
	begins time.Time
}

// fromDisk reads the log that the listener has, or had, on this machine. Without ids the name
// alone must do.
func (c *whyCmd) fromDisk(ctx context.Context, ids []string, since time.Time) (ownLog, error) {
	dirs, err := filepath.Glob(filepath.Join(c.Data, "*"))
	if err != nil {
		return ownLog{}, err
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
			return ownLog{}, err
		}
		events, begins, err := gather(ctx, log, since, c.Name, "")
		if err := errors.Join(err, log.Close()); err != nil {
			return ownLog{}, err
		}
		return ownLog{id, events, begins}, nil
	}
	return ownLog{}, nil
}

// storyFrom asks a node what its events say about whom the story is about; they take at most limit bytes.
func storyFrom(ctx context.Context, addr string, story why.Story, limit int64) (events []eventlog.Record, begins time.Time, err error) {
	query := url.Values{"since": {story.Since.Format(time.RFC3339Nano)}, "about": {story.Name}, "song": {why.Song(story)}}
	body, err := askNode(ctx, addr, "/debug/story?"+query.Encode(), limit)
	if err != nil {
		return nil, begins, err
	}
	defer body.Close()
	lines := bufio.NewScanner(body)
	lines.Buffer(make([]byte, 1<<16), maxJSONLine)
	lines.Split(wholeLines)
	var head storyHead
	if lines.Scan() {
		err = json.Unmarshal(lines.Bytes(), &head)
	}
	for err == nil && lines.Scan() {
		var record eventlog.Record
		if record, err = eventlog.DecodeJSON(lines.Bytes()); err == nil {
			events = append(events, record)
		}
	}
	if err == nil {
		err = lines.Err()
	}
	if err == nil && (head.Begins.IsZero() || len(events) != head.Events) {
		err = errors.New("the answer was cut off")
	}
	if err != nil {
		return nil, begins, fmt.Errorf("read what %s knows: %w", addr, err)
	}
	return events, head.Begins, nil
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
