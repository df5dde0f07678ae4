package eventlog

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "conga/messages" // every type that a log may name
)

const (
	// namespace begins the full name of every message; the log leaves it out.
	namespace = "conga."
	// version is the version of every type. A type whose meaning changes will get another one.
	version = 1
)

var marshal = proto.MarshalOptions{Deterministic: true}

// encode returns a message's type and bytes as the log keeps them.
func encode(m proto.Message) (name string, data []byte, err error) {
	if m == nil || !m.ProtoReflect().IsValid() {
		return "", nil, errors.New("encode event: no message")
	}
	full := string(m.ProtoReflect().Descriptor().FullName())
	name, ok := strings.CutPrefix(full, namespace)
	if !ok {
		return "", nil, fmt.Errorf("encode %s: only messages of %s* can be kept", full, namespace)
	}
	data, err = marshal.Marshal(m)
	if err != nil {
		return "", nil, fmt.Errorf("encode %s: %w", name, err)
	}
	return name, data, nil
}

// types has the type of every message by its name in the log. The registry would take as long to find one as proto.Unmarshal to
// decode it.
var types = sync.OnceValue(func() map[string]protoreflect.MessageType {
	all := map[string]protoreflect.MessageType{}
	protoregistry.GlobalTypes.RangeMessages(func(t protoreflect.MessageType) bool {
		if name, ours := strings.CutPrefix(string(t.Descriptor().FullName()), namespace); ours {
			all[name] = t
		}
		return true
	})
	return all
})

// decode is the inverse of encode. The error is ErrUnknownType if this program does not know the type or
// its version.
func decode(name string, kept int, data []byte) (proto.Message, error) {
	if kept != version {
		return nil, fmt.Errorf("%w: %s version %d: use the conga that wrote the log, or a newer one", ErrUnknownType, name, kept)
	}
	t, known := types()[name]
	if !known {
		return nil, fmt.Errorf("%w: %q: use the conga that wrote the log, or a newer one", ErrUnknownType, name)
	}
	m := t.New().Interface()
	if err := proto.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("decode %s: %w", name, err)
	}
	return m, nil
}

// event decodes the event without its cause; a state needs no more.
func (r *Row) event() (proto.Message, error) {
	m, err := decode(r.Type, r.Version, r.Data)
	if err != nil {
		return nil, fmt.Errorf("event %d: %w", r.Seq, err)
	}
	return m, nil
}

// Decode returns the record that was kept as the row.
func (r *Row) Decode() (Record, error) {
	event, err := r.event()
	if err != nil {
		return Record{}, err
	}
	var cause proto.Message
	if r.CauseType != "" {
		if cause, err = decode(r.CauseType, version, r.Cause); err != nil {
			return Record{}, fmt.Errorf("cause of event %d: %w", r.Seq, err)
		}
	}
	return r.with(event, cause), nil
}

func (r *Row) with(event, cause proto.Message) Record {
	return Record{
		Seq: r.Seq, Time: time.UnixMicro(r.Time).UTC(), Actor: r.Actor, Type: r.Type, Version: r.Version,
		Event: event, Cause: cause, Of: r.Of, Hash: r.Hash, row: *r,
	}
}
