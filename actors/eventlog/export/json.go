package export

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"conga/actors/eventlog"
	"conga/messages/plain"
)

// jsonRecord is a record as a line of JSON. An import reads the data fields: they are
// the log's own bytes, so the hashes stay the same even if a later version of a message
// has other fields. Event and cause show the same content to people and jq.
type jsonRecord struct {
	Seq       uint64          `json:"seq"`
	Time      string          `json:"time"` // RFC 3339, UTC, microseconds
	Actor     string          `json:"actor"`
	Type      string          `json:"type"`
	Version   int             `json:"version"`
	Event     json.RawMessage `json:"event,omitempty"`
	CauseType string          `json:"cause_type,omitempty"`
	Cause     json.RawMessage `json:"cause,omitempty"`
	Of        int             `json:"of,omitempty"`
	Data      []byte          `json:"data"`
	CauseData []byte          `json:"cause_data,omitempty"`
	Hash      string          `json:"hash"`
}

// EncodeJSON returns the record as one line of JSON without a newline, safe to print on a terminal and the same
// bytes in every build. The record must come from a Log or from DecodeJSON.
func EncodeJSON(r eventlog.Record) ([]byte, error) {
	row := r.Row()
	if row.Seq == 0 {
		return nil, errors.New("encode record: it is not from a log")
	}
	event, err := messageJSON(r.Event)
	if err != nil {
		return nil, fmt.Errorf("encode event %d: %w", r.Seq, err)
	}
	var cause json.RawMessage
	if r.Cause != nil {
		if cause, err = messageJSON(r.Cause); err != nil {
			return nil, fmt.Errorf("encode the cause of event %d: %w", r.Seq, err)
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err = e.Encode(jsonRecord{
		Seq: row.Seq, Time: formatTime(row.Time), Actor: row.Actor, Type: row.Type, Version: row.Version,
		Event: event, CauseType: row.CauseType, Cause: cause, Of: row.Of,
		Data: append([]byte{}, row.Data...), CauseData: row.Cause, Hash: hex.EncodeToString(row.Hash),
	})
	if err != nil {
		return nil, fmt.Errorf("encode event %d: %w", r.Seq, err)
	}
	return plain.JSON(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

// DecodeJSON reads a line that EncodeJSON has written. It uses the data fields, not
// their readable form, and does not check the hash: Import does. The error is
// eventlog.ErrUnknownType or *eventlog.Damage if the event cannot be decoded.
func DecodeJSON(line []byte) (eventlog.Record, error) {
	var j jsonRecord
	if err := json.Unmarshal(line, &j); err != nil {
		return eventlog.Record{}, fmt.Errorf("decode record: %w", err)
	}
	at, err := time.Parse(exactTime, j.Time)
	if err != nil {
		return eventlog.Record{}, fmt.Errorf("decode record %d: %w", j.Seq, err)
	}
	hash, err := hex.DecodeString(j.Hash)
	if err != nil {
		return eventlog.Record{}, fmt.Errorf("decode record %d: hash: %w", j.Seq, err)
	}
	if j.Seq == 0 || j.Seq > math.MaxInt64 {
		return eventlog.Record{}, fmt.Errorf("decode record: %d is no event number", j.Seq)
	}
	row := eventlog.Row{
		Seq: j.Seq, Time: at.UnixMicro(), Actor: j.Actor, Type: j.Type, Version: j.Version,
		Data: j.Data, CauseType: j.CauseType, Cause: j.CauseData, Of: j.Of, Hash: hash,
	}
	r, err := row.Decode()
	if err != nil && !errors.Is(err, eventlog.ErrUnknownType) {
		err = &eventlog.Damage{Seq: j.Seq, Reason: "its data cannot be read"}
	}
	return r, err
}

// messageJSON writes a message as a JSON object: the fields that are set, in the order of
// their numbers, with their names in the .proto. (protojson's bytes differ between builds.)
func messageJSON(m proto.Message) (json.RawMessage, error) {
	return appendJSON(nil, m.ProtoReflect())
}

func appendJSON(b []byte, m protoreflect.Message) ([]byte, error) {
	b = append(b, '{')
	first := true
	var err error
	for _, fd := range byNumber(m.Descriptor().Fields()) {
		if !m.Has(fd) || fd.IsMap() { // no message of conga has a map; its bytes are in data
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = strconv.AppendQuote(b, string(fd.Name()))
		b = append(b, ':')
		if !fd.IsList() {
			if b, err = appendJSONValue(b, fd, m.Get(fd)); err != nil {
				return nil, err
			}
			continue
		}
		b = append(b, '[')
		list := m.Get(fd).List()
		for i := range list.Len() {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendJSONValue(b, fd, list.Get(i)); err != nil {
				return nil, err
			}
		}
		b = append(b, ']')
	}
	return append(b, '}'), nil
}

func appendJSONValue(b []byte, fd protoreflect.FieldDescriptor, v protoreflect.Value) ([]byte, error) {
	switch fd.Kind() {
	case protoreflect.StringKind:
		text, err := json.Marshal(v.String())
		return append(b, text...), err
	case protoreflect.BytesKind:
		return strconv.AppendQuote(b, base64.StdEncoding.EncodeToString(v.Bytes())), nil
	case protoreflect.EnumKind:
		if fd.Enum().Values().ByNumber(v.Enum()) != nil {
			b = append(b, '"')
			return append(appendValue(b, fd, v), '"'), nil
		}
		return appendValue(b, fd, v), nil
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return appendJSON(b, v.Message())
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			return strconv.AppendQuote(b, strconv.FormatFloat(f, 'g', -1, 64)), nil
		}
		return appendValue(b, fd, v), nil
	default:
		return appendValue(b, fd, v), nil
	}
}
