package export

import (
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"conga/actors/eventlog"
)

// timeLayout is an event's time for people. The JSON has microseconds.
const timeLayout = "2006-01-02T15:04:05.000Z07:00"

// Line returns r as one line for people, without a newline:
//
//	12 2026-11-22T10:11:12.345Z scheduler SongQueued listener_name=amy song=bach.mp3
//
// The line is the same in every build and time zone, with the time in UTC; golden logs rely on it.
func Line(r eventlog.Record) string { return LineIn(r, time.UTC) }

// LineIn is Line with the time in zone, followed by the zone's offset.
func LineIn(r eventlog.Record, zone *time.Location) string {
	b := strconv.AppendUint(nil, r.Seq, 10)
	b = append(b, ' ')
	b = r.Time.In(zone).AppendFormat(b, timeLayout)
	b = append(b, ' ')
	b = appendText(b, r.Actor)
	b = append(b, ' ')
	return string(appendMessage(b, r.Event))
}

// Format returns a message as Line shows it: its name without "conga.", then the
// fields that are set, in the order of their numbers:
//
//	name=value song={name=bach.mp3 frames=12} around=[amy,"bob b"]
//
// Text that could be misread is quoted like a Go string; bytes are hexadecimal.
func Format(m proto.Message) string { return string(appendMessage(nil, m)) }

func appendMessage(b []byte, m proto.Message) []byte {
	if m == nil {
		return append(b, '-')
	}
	name := string(m.ProtoReflect().Descriptor().FullName())
	b = append(b, strings.TrimPrefix(name, "conga.")...)
	return appendFields(b, m.ProtoReflect(), true)
}

// appendFields appends name=value for each field that is set, separated by spaces; if
// lead is true, also with a space before the first.
func appendFields(b []byte, m protoreflect.Message, lead bool) []byte {
	for _, fd := range byNumber(m.Descriptor().Fields()) {
		if !m.Has(fd) {
			continue
		}
		if lead {
			b = append(b, ' ')
		}
		lead = true
		b = append(b, fd.Name()...)
		b = append(b, '=')
		v := m.Get(fd)
		switch {
		case fd.IsMap():
			b = appendMap(b, fd, v.Map())
		case fd.IsList():
			b = append(b, '[')
			for i := range v.List().Len() {
				if i > 0 {
					b = append(b, ',')
				}
				b = appendValue(b, fd, v.List().Get(i))
			}
			b = append(b, ']')
		default:
			b = appendValue(b, fd, v)
		}
	}
	return b
}

// sorted caches the sorted fields of each message type.
var sorted sync.Map

func byNumber(fields protoreflect.FieldDescriptors) []protoreflect.FieldDescriptor {
	if all, is := sorted.Load(fields); is {
		return all.([]protoreflect.FieldDescriptor)
	}
	all := make([]protoreflect.FieldDescriptor, fields.Len())
	for i := range all {
		all[i] = fields.Get(i)
	}
	slices.SortFunc(all, func(a, b protoreflect.FieldDescriptor) int { return int(a.Number()) - int(b.Number()) })
	sorted.Store(fields, all)
	return all
}

func appendMap(b []byte, fd protoreflect.FieldDescriptor, m protoreflect.Map) []byte {
	var entries []string
	for k, v := range m.Range {
		entry := appendValue(nil, fd.MapKey(), k.Value())
		entries = append(entries, string(appendValue(append(entry, '='), fd.MapValue(), v)))
	}
	slices.Sort(entries)
	b = append(b, '{')
	b = append(b, strings.Join(entries, " ")...)
	return append(b, '}')
}

func appendValue(b []byte, fd protoreflect.FieldDescriptor, v protoreflect.Value) []byte {
	switch fd.Kind() {
	case protoreflect.StringKind:
		return appendText(b, v.String())
	case protoreflect.BytesKind:
		return hex.AppendEncode(b, v.Bytes())
	case protoreflect.EnumKind:
		if value := fd.Enum().Values().ByNumber(v.Enum()); value != nil {
			return append(b, value.Name()...)
		}
		return strconv.AppendInt(b, int64(v.Enum()), 10)
	case protoreflect.MessageKind, protoreflect.GroupKind:
		b = append(b, '{')
		b = appendFields(b, v.Message(), false)
		return append(b, '}')
	case protoreflect.BoolKind:
		return strconv.AppendBool(b, v.Bool())
	case protoreflect.FloatKind:
		return strconv.AppendFloat(b, v.Float(), 'g', -1, 32)
	case protoreflect.DoubleKind:
		return strconv.AppendFloat(b, v.Float(), 'g', -1, 64)
	case protoreflect.Uint32Kind, protoreflect.Uint64Kind, protoreflect.Fixed32Kind, protoreflect.Fixed64Kind:
		return strconv.AppendUint(b, v.Uint(), 10)
	default: // the signed ones
		return strconv.AppendInt(b, v.Int(), 10)
	}
}

// appendText quotes s if a reader or a terminal could misread it.
func appendText(b []byte, s string) []byte {
	plain := s != "" && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsPrint(r) || strings.ContainsRune(" \"`\\=,{}[]", r)
	})
	if plain {
		return append(b, s...)
	}
	return strconv.AppendQuote(b, s)
}

// exactTime is an event's time to the microsecond.
const exactTime = "2006-01-02T15:04:05.000000Z07:00"

func formatTime(us int64) string { return time.UnixMicro(us).UTC().Format(exactTime) }
