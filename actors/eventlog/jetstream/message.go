package jetstream

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"conga/actors/eventlog"
)

// The headers of a message.
const (
	headerWriter = "Conga-Writer" // who wrote it, and which of its messages it is: "name 12"
	headerPart   = "Conga-Part"   // "2/7": the second of the seven messages of one append; none: the message only takes its place
	headerFirst  = "Conga-First"  // the number of the event with which it begins; none: it goes on with one that began before
	headerMark   = "Conga-Mark"   // only in a last part: the place behind its last event, as JSON; of a base, the base
)

// partBytes is the size of a message. Drop removes whole messages, so it is far less than what NATS takes.
const partBytes = 128 << 10

// headerBytes is more than a message's header takes.
const headerBytes = 4 << 10

// row is an eventlog.Row as a line of a message.
type row struct {
	Seq       uint64 `json:"seq"`
	Time      int64  `json:"time"`
	Actor     string `json:"actor"`
	Type      string `json:"type"`
	Version   int    `json:"version"`
	Data      []byte `json:"data,omitempty"`
	CauseType string `json:"cause_type,omitempty"`
	Cause     []byte `json:"cause,omitempty"`
	Of        int    `json:"of,omitempty"`
	Hash      []byte `json:"hash"`
}

// part is what a message holds, before it has its place in the stream.
type part struct {
	first uint64 // 0: it begins inside an event
	data  []byte
}

// partsOf cuts rows into messages of at most `most` bytes. Only a row that is longer is cut itself.
func partsOf(rows []eventlog.Row, most int) ([]part, error) {
	var all []part
	var now part
	flush := func() {
		if len(now.data) > 0 {
			all = append(all, now)
		}
		now = part{}
	}
	for i := range rows {
		line, err := json.Marshal(row(rows[i]))
		if err != nil {
			return nil, fmt.Errorf("encode event %d: %w", rows[i].Seq, err)
		}
		line = append(line, '\n')
		if len(now.data)+len(line) > most {
			flush()
		}
		if now.first == 0 {
			now.first = rows[i].Seq
		}
		for len(line) > most {
			now.data = line[:most:most]
			flush()
			line = line[most:]
		}
		now.data = append(now.data, line...)
		if now.first == 0 { // the end of a long row
			flush()
		}
	}
	flush()
	return all, nil
}

// cut cuts data into messages; no data is one message.
func cut(data []byte, most int) []part {
	var all []part
	for len(data) > most {
		all, data = append(all, part{data: data[:most]}), data[most:]
	}
	return append(all, part{data: data})
}

// message is one of the stream's messages.
type message struct {
	subject     string
	seq         uint64
	writer      string
	part, parts int
	first       uint64
	mark        *eventlog.Mark
	data        []byte
}

// last reports whether the message makes those before it valid.
func (m *message) last() bool { return m.parts > 0 && m.part == m.parts }

func readMessage(raw *jetstream.RawStreamMsg) (*message, error) {
	m := &message{subject: raw.Subject, seq: raw.Sequence, writer: raw.Header.Get(headerWriter), data: raw.Data}
	if text := raw.Header.Get(headerPart); text != "" {
		a, b, _ := strings.Cut(text, "/")
		var err, err2 error
		m.part, err = strconv.Atoi(a)
		m.parts, err2 = strconv.Atoi(b)
		if err != nil || err2 != nil || m.part < 1 || m.part > m.parts {
			return nil, fmt.Errorf("it is part %q", text)
		}
	}
	if text := raw.Header.Get(headerFirst); text != "" {
		var err error
		if m.first, err = strconv.ParseUint(text, 10, 64); err != nil {
			return nil, fmt.Errorf("it begins with event %q", text)
		}
	}
	if text := raw.Header.Get(headerMark); text != "" {
		m.mark = &eventlog.Mark{}
		if err := json.Unmarshal([]byte(text), m.mark); err != nil {
			return nil, fmt.Errorf("it ends at %q", text)
		}
	}
	return m, nil
}

// message makes the message of part i of several; mark is where they lead.
func (p part) message(subject string, i, of int, mark *eventlog.Mark) (*nats.Msg, error) {
	m := nats.NewMsg(subject)
	m.Data = p.data
	m.Header.Set(headerPart, fmt.Sprintf("%d/%d", i+1, of))
	if p.first > 0 {
		m.Header.Set(headerFirst, strconv.FormatUint(p.first, 10))
	}
	if mark != nil && i+1 == of {
		text, err := json.Marshal(mark)
		if err != nil {
			return nil, err
		}
		m.Header.Set(headerMark, string(text))
	}
	return m, nil
}

// assembly puts the messages of appends together, in their order.
type assembly struct {
	sure  uint64 // up to this sequence all messages are of whole appends
	began uint64 // the sequence of the first message of this append, or of the first that was read of it; 0: none was
	done  bool   // its last message was added
	data  []byte // of those messages, what is not in rows yet
}

// add returns the rows that message m makes valid.
func (a *assembly) add(m *message) ([]eventlog.Row, error) {
	switch {
	case m.parts == 0: // it only takes a place
		*a = assembly{sure: a.sure}
		return nil, nil
	case m.part == 1, a.began == 0 && m.first > 0: // what began before was not finished, or reading begins in between
		*a = assembly{sure: a.sure, began: m.seq}
	case a.began == 0 || a.done:
		return nil, nil
	}
	a.data = append(a.data, m.data...)
	if a.done = m.last(); !a.done && m.seq > a.sure {
		return nil, nil
	}
	end := bytes.LastIndexByte(a.data, '\n') + 1
	rows, err := readRows(a.data[:end])
	a.data = a.data[end:]
	return rows, err
}

func readRows(lines []byte) (rows []eventlog.Row, err error) {
	for line := range bytes.Lines(lines) {
		var r row
		if err := json.Unmarshal(line, &r); err != nil {
			return rows, fmt.Errorf("event behind %d others: %w", len(rows), err)
		}
		rows = append(rows, eventlog.Row(r))
	}
	return rows, nil
}
