package ask

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"conga/actors"
	"conga/actors/eventlog"
	"conga/actors/eventlog/export"
	"conga/cmd/internal/address"
	"conga/cmd/internal/logbook"
	"conga/cmd/internal/node"
	"conga/cmd/internal/why"
	"conga/messages"
	"conga/messages/plain"
)

const (
	// maxServerStory bounds the answer of the operator's own server, in bytes, and storyTimeout how long it may
	// take to read its log.
	maxServerStory = 64 << 20
	storyTimeout   = 2 * time.Minute
	// maxListenerAnswer and listenerTimeout are the same bounds for a stranger's listener: about
	// 20,000 events.
	maxListenerAnswer = 8 << 20
	listenerTimeout   = 4 * time.Second
)

// Server fills in what the server knows.
func Server(ctx context.Context, story *why.Story, addr string) error {
	var answer struct {
		Node  string             `json:"node"`
		State actors.ServerState `json:"state"`
	}
	if err := DumpInto(ctx, here, addr, &answer); err != nil {
		return err
	}
	if answer.Node != "server" {
		return fmt.Errorf("%s is the listener %s, not the server: --http takes the http=HOST:PORT address of the server's ready line", addr, plain.Text(answer.Node, messages.MaxName))
	}
	story.State = answer.State
	within, cancel := context.WithTimeout(ctx, storyTimeout)
	defer cancel()
	var err error
	story.Server, story.ServerBegins, err = storyFrom(within, addr, *story, maxServerStory)
	return err
}

// Listener fills in what the listener itself knows, over HTTP or from its log on this
// machine, or why that is impossible.
func Listener(ctx context.Context, story *why.Story, server, data string) {
	if story.Name == "" {
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
		if story.Node, story.NodeBegins, err = overHTTP(ctx, *story, addr, server, ids); err == nil {
			story.NodeID = id
			return
		}
		note = fmt.Sprintf("%s itself could not be asked (%v).", story.Name, err)
	}
	own, err := fromDisk(ctx, *story, data, ids)
	switch {
	case own.id != "":
		story.NodeID, story.Node, story.NodeBegins = own.id, own.events, own.begins
	case err != nil:
		story.Notes = append(story.Notes, fmt.Sprintf("%s's own log could not be read: %v.", story.Name, err))
	case note != "":
		story.Notes = append(story.Notes, note)
	case len(ids) > 0 && addr == "":
		story.Notes = append(story.Notes, fmt.Sprintf("%s's own log, if it keeps one, can be read only on its own machine: run conga why there to learn more.", story.Name))
	}
}

func overHTTP(ctx context.Context, story why.Story, addr, server string, ids []string) (events []eventlog.Record, begins time.Time, err error) {
	if address.IsLoopback(addr) && !address.IsLoopback(server) {
		return nil, begins, fmt.Errorf("its address %s can be reached only from its own machine; run conga why there to learn more", addr)
	}
	ctx, cancel := context.WithTimeout(ctx, listenerTimeout)
	defer cancel()
	var answer struct {
		Node string `json:"node"`
	}
	if err := readDump(ctx, here, addr, maxListenerAnswer, &answer); err != nil {
		return nil, begins, err
	}
	if !strings.EqualFold(answer.Node, story.Name) && !slices.Contains(ids, story.Name) {
		return nil, begins, fmt.Errorf("its address %s now belongs to %s", addr, plain.Text(answer.Node, messages.MaxName))
	}
	return storyFrom(ctx, addr, story, maxListenerAnswer)
}

// ownLog is the content of a listener's own log; without an id there is none.
type ownLog struct {
	id     string
	events []eventlog.Record
	begins time.Time
}

// fromDisk reads the log that the listener has, or had, on this machine. Without ids it goes by the name
// alone.
func fromDisk(ctx context.Context, story why.Story, data string, ids []string) (ownLog, error) {
	dir, id, err := node.FindJournal(data, story.Name, ids)
	if err != nil || dir == "" {
		return ownLog{}, err
	}
	log, err := logbook.OpenFolder(dir)
	if err != nil {
		return ownLog{}, err
	}
	events, begins, err := why.Gather(ctx, log, story.Since, story.Name, "")
	if err := errors.Join(err, log.Close()); err != nil {
		return ownLog{}, err
	}
	return ownLog{id, events, begins}, nil
}

// storyFrom asks a node for the events that the story needs; they may take at most limit bytes.
func storyFrom(ctx context.Context, addr string, story why.Story, limit int64) (events []eventlog.Record, begins time.Time, err error) {
	query := url.Values{"since": {story.Since.Format(time.RFC3339Nano)}, "about": {story.Name}, "song": {why.Song(story)}}
	body, err := get(ctx, here, addr, "/debug/story?"+query.Encode(), limit)
	if err != nil {
		return nil, begins, err
	}
	defer body.Close()
	lines := bufio.NewScanner(body)
	lines.Buffer(make([]byte, 1<<16), logbook.MaxJSONLine)
	lines.Split(wholeLines)
	var head why.Head
	if lines.Scan() {
		err = json.Unmarshal(lines.Bytes(), &head)
	}
	for err == nil && lines.Scan() {
		var record eventlog.Record
		if record, err = export.DecodeJSON(lines.Bytes()); err == nil {
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

// wholeLines is bufio.ScanLines, but leaves out a last line without a newline, which was cut off.
func wholeLines(data []byte, _ bool) (advance int, token []byte, err error) {
	if end := bytes.IndexByte(data, '\n'); end >= 0 {
		return end + 1, data[:end], nil
	}
	return 0, nil, nil
}
