package story

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "conga/messages" // registers the names that Parse looks up
)

// Line formats a message as one line, the same in every build:
//
//	SongAdded song={name=bach.mp3 title="Prelude in C" frames=1508}
//	ChainSpliced from=amy to=cem around=[bob ben]
//
// Fields stand in the order of their numbers under the names of the .proto; zero
// values are left out. Strings are quoted where they hold more than letters,
// digits and -._:/+@#, bytes are hexadecimal, enums are their names. It panics on
// a map field, which no message of ours has.
func Line(m proto.Message) string {
	r := m.ProtoReflect()
	return strings.TrimSuffix(string(r.Descriptor().Name())+" "+fields(r), " ")
}

func fields(m protoreflect.Message) string {
	var out []string
	all := m.Descriptor().Fields()
	sorted := make([]protoreflect.FieldDescriptor, all.Len())
	for i := range sorted {
		sorted[i] = all.Get(i)
	}
	slices.SortFunc(sorted, func(a, b protoreflect.FieldDescriptor) int { return int(a.Number() - b.Number()) })
	for _, field := range sorted {
		if !m.Has(field) {
			continue
		}
		out = append(out, string(field.Name())+"="+formatField(field, m.Get(field)))
	}
	return strings.Join(out, " ")
}

func formatField(field protoreflect.FieldDescriptor, value protoreflect.Value) string {
	switch {
	case field.IsMap():
		panic(fmt.Sprintf("story: %s is a map: its order would not be stable", field.FullName()))
	case field.IsList():
		list := value.List()
		out := make([]string, list.Len())
		for i := range out {
			out[i] = formatOne(field, list.Get(i))
		}
		return "[" + strings.Join(out, " ") + "]"
	}
	return formatOne(field, value)
}

func formatOne(field protoreflect.FieldDescriptor, value protoreflect.Value) string {
	switch field.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return "{" + fields(value.Message()) + "}"
	case protoreflect.StringKind:
		s := value.String()
		if s == "" || strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
			return strconv.Quote(s)
		}
		return s
	case protoreflect.BytesKind:
		if len(value.Bytes()) == 0 {
			return `""`
		}
		return hex.EncodeToString(value.Bytes())
	case protoreflect.EnumKind:
		if known := field.Enum().Values().ByNumber(value.Enum()); known != nil {
			return string(known.Name())
		}
		return strconv.Itoa(int(value.Enum()))
	}
	return value.String()
}

// plain says whether r may stand in a string without quotes.
func plain(r rune) bool {
	return r != unicode.ReplacementChar &&
		(unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-._:/+@#", r))
}

// Parse reads what Line has written. The names are those of conga's messages.
func Parse(line string) (proto.Message, error) {
	name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	kind, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName("conga." + name))
	if err != nil {
		return nil, fmt.Errorf("no message is called %q", name)
	}
	m := kind.New()
	p := &parser{rest: rest}
	if err := p.fields(m, ""); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return m.Interface(), nil
}

type parser struct{ rest string }

// next says whether s is next, and if so steps over it. Spaces before it do not count.
func (p *parser) next(s string) bool {
	p.rest = strings.TrimLeft(p.rest, " ")
	rest, found := strings.CutPrefix(p.rest, s)
	p.rest = rest
	return found
}

// fields reads name=value until end; an empty end is the end of the line.
func (p *parser) fields(m protoreflect.Message, end string) error {
	for {
		if end != "" && p.next(end) {
			return nil
		}
		if p.next(""); p.rest == "" {
			if end != "" {
				return fmt.Errorf("%q is missing", end)
			}
			return nil
		}
		name, rest, found := strings.Cut(p.rest, "=")
		field := m.Descriptor().Fields().ByName(protoreflect.Name(name))
		if !found || field == nil {
			return fmt.Errorf("no field=value at %q", p.rest)
		}
		p.rest = rest
		if err := p.field(m, field); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
}

func (p *parser) field(m protoreflect.Message, field protoreflect.FieldDescriptor) error {
	switch {
	case field.IsMap():
		return fmt.Errorf("is a map")
	case field.IsList():
		if !p.next("[") {
			return fmt.Errorf("a list begins with [")
		}
		list := m.Mutable(field).List()
		for !p.next("]") {
			if p.rest == "" {
				return fmt.Errorf("\"]\" is missing")
			}
			value, err := p.value(field, list.NewElement)
			if err != nil {
				return err
			}
			list.Append(value)
		}
		return nil
	}
	value, err := p.value(field, func() protoreflect.Value { return m.NewField(field) })
	if err != nil {
		return err
	}
	m.Set(field, value)
	return nil
}

func (p *parser) value(field protoreflect.FieldDescriptor, empty func() protoreflect.Value) (protoreflect.Value, error) {
	if field.Message() != nil {
		value := empty()
		if !p.next("{") {
			return value, fmt.Errorf("a message begins with {")
		}
		return value, p.fields(value.Message(), "}")
	}
	word, err := p.word()
	if err != nil {
		return protoreflect.Value{}, err
	}
	return scalar(field, word)
}

func (p *parser) word() (string, error) {
	p.next("")
	if quoted, err := strconv.QuotedPrefix(p.rest); err == nil {
		p.rest = p.rest[len(quoted):]
		return strconv.Unquote(quoted)
	}
	end := strings.IndexAny(p.rest, " ]}")
	if end < 0 {
		end = len(p.rest)
	}
	word := p.rest[:end]
	if p.rest = p.rest[end:]; word == "" {
		return "", fmt.Errorf("a value is missing at %q", p.rest)
	}
	return word, nil
}

func scalar(field protoreflect.FieldDescriptor, word string) (protoreflect.Value, error) {
	var value protoreflect.Value
	var err error
	switch field.Kind() {
	case protoreflect.StringKind:
		value = protoreflect.ValueOfString(word)
	case protoreflect.BytesKind:
		var b []byte
		b, err = hex.DecodeString(word)
		value = protoreflect.ValueOfBytes(b)
	case protoreflect.BoolKind:
		var b bool
		b, err = strconv.ParseBool(word)
		value = protoreflect.ValueOfBool(b)
	case protoreflect.EnumKind:
		if known := field.Enum().Values().ByName(protoreflect.Name(word)); known != nil {
			return protoreflect.ValueOfEnum(known.Number()), nil
		}
		var n int64
		n, err = strconv.ParseInt(word, 10, 32)
		value = protoreflect.ValueOfEnum(protoreflect.EnumNumber(n))
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		var n int64
		n, err = strconv.ParseInt(word, 10, 32)
		value = protoreflect.ValueOfInt32(int32(n))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		var n int64
		n, err = strconv.ParseInt(word, 10, 64)
		value = protoreflect.ValueOfInt64(n)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		var n uint64
		n, err = strconv.ParseUint(word, 10, 32)
		value = protoreflect.ValueOfUint32(uint32(n))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		var n uint64
		n, err = strconv.ParseUint(word, 10, 64)
		value = protoreflect.ValueOfUint64(n)
	default:
		err = fmt.Errorf("a %s cannot be told in a story", field.Kind())
	}
	return value, err
}
