package eventlog

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"conga/actors/internal/sorted"
)

// Long is a pointer to a state with lists that grow with the songs folder. Freeze writes these element by element:
// in one piece, the JSON of 20,000 songs takes more memory than the songs.
type Long interface {
	// Lists are the lists, in an order that does not change.
	Lists() []sorted.Kept
}

// Frozen is a state as it is kept.
type Frozen struct {
	// write writes JSON values: the state without its long lists, then the length and the elements of each list.
	write func(*json.Encoder) error
}

// Freeze returns the state as it is kept. It is encoded when it is written.
func Freeze[S any](state S) Frozen {
	return Frozen{func(to *json.Encoder) error {
		rest := state
		for _, list := range listsOf(&rest) {
			list.Clear()
		}
		if err := to.Encode(rest); err != nil {
			return err
		}
		for _, list := range listsOf(&state) {
			if err := to.Encode(list.Len()); err != nil {
				return err
			}
			for element := range list.Elements() {
				if err := to.Encode(element); err != nil {
					return err
				}
			}
		}
		return nil
	}}
}

func listsOf(state any) []sorted.Kept {
	if long, is := state.(Long); is {
		return long.Lists()
	}
	return nil
}

// errLacks: a state was kept by a program that knows more.
var errLacks = errors.New("this program's state lacks something of it")

// reread decodes a state and compares each value with what it is when it is encoded again.
func reread[S any](data []byte, compare func(was, is []byte) error) (state S, err error) {
	from := json.NewDecoder(flate.NewReader(bytes.NewReader(data)))
	read := func(value any) error {
		var was json.RawMessage
		if err := from.Decode(&was); err != nil {
			return err
		}
		if err := json.Unmarshal(was, value); err != nil {
			return err
		}
		is, err := json.Marshal(value)
		if err != nil {
			return err
		}
		return compare(was, is)
	}
	if err := read(&state); err != nil {
		return state, err
	}
	for _, list := range listsOf(&state) {
		n := 0
		switch err := read(&n); {
		case errors.Is(err, io.EOF): // it was kept by an older program, which had no such list
			return state, nil
		case err != nil:
			return state, err
		}
		if err := list.Read(n, read); err != nil {
			return state, err
		}
	}
	if from.More() {
		return state, errLacks
	}
	return state, nil
}

// thaw decodes a snapshot's state. It is an error if encoding it again gives other bytes.
func thaw[S any](data []byte) (S, error) {
	return reread[S](data, func(was, is []byte) error {
		if !bytes.Equal(was, is) {
			return errors.New("the state does not survive JSON")
		}
		return nil
	})
}

// thawBase decodes the state where a log begins. It is an error if the program's type would lose part of
// it. The type may have more fields (a newer program); they are empty.
func thawBase[S any](data []byte) (S, error) {
	return reread[S](data, func(was, is []byte) error {
		if bytes.Equal(was, is) {
			return nil
		}
		a, b, err := generic(was, is)
		if err == nil && !within(a, b) {
			err = errLacks
		}
		return err
	})
}

func generic(a, b []byte) (x, y any, err error) {
	for _, one := range []struct {
		data []byte
		to   *any
	}{{a, &x}, {b, &y}} {
		d := json.NewDecoder(bytes.NewReader(one.data))
		d.UseNumber() // a float64 would round large ones
		if err := d.Decode(one.to); err != nil {
			return nil, nil, fmt.Errorf("compare states: %w", err)
		}
	}
	return x, y, nil
}

// within reports whether all of the JSON value a is in b.
func within(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, is := b.(map[string]any)
		for key, value := range a {
			other, has := b[key]
			if !is || !has || !within(value, other) {
				return false
			}
		}
		return is
	case []any:
		b, is := b.([]any)
		return is && slices.EqualFunc(a, b, within)
	}
	return a == b
}
