// Package sorted keeps a long list in order, such as the songs of a large folder, of which one comes, goes
// or changes at a time. A list is immutable: a change makes a new one, which shares nearly everything
// with the old one. It costs some kilobytes, however long the list is.
//
// The tree libraries that are kept up either mark the old tree when it is copied, so that two
// goroutines cannot go on from one state, or do not know an element's number.
package sorted

import (
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"strings"
)

// chunkSize is how many elements an array has at most. A change copies one array.
const chunkSize = 256

// Keyed is an element. Its key never changes, and a list has it once.
type Keyed interface{ Key() string }

// List is immutable. Its zero value is the empty list.
type List[T Keyed] struct {
	chunks [][]T // none is empty
	n      int
}

// Of makes a list of elements in any order. If several have one key, the last counts.
func Of[T Keyed](elements []T) List[T] {
	ordered := slices.Clone(elements)
	slices.SortStableFunc(ordered, func(a, b T) int { return strings.Compare(a.Key(), b.Key()) })
	var l List[T]
	for i, t := range ordered {
		if i+1 < len(ordered) && ordered[i+1].Key() == t.Key() {
			continue
		}
		if last := len(l.chunks) - 1; last >= 0 && len(l.chunks[last]) < chunkSize/2 {
			l.chunks[last] = append(l.chunks[last], t)
		} else {
			l.chunks = append(l.chunks, append(make([]T, 0, chunkSize/2), t))
		}
		l.n++
	}
	return l
}

// Len is how many elements there are.
func (l List[T]) Len() int { return l.n }

// IsZero says whether the list is empty, so that JSON may leave it out.
func (l List[T]) IsZero() bool { return l.n == 0 }

// At returns element number i, counted from 0.
func (l List[T]) At(i int) T {
	for _, chunk := range l.chunks {
		if i < len(chunk) {
			return chunk[i]
		}
		i -= len(chunk)
	}
	panic("sorted: there is no such element")
}

// Find returns the element with the key.
func (l List[T]) Find(key string) (t T, found bool) {
	c, i, found := l.place(key)
	if found {
		t = l.chunks[c][i]
	}
	return t, found
}

// Index returns the number of the element with the key, or where it would be.
func (l List[T]) Index(key string) (at int, found bool) {
	c, i, found := l.place(key)
	for _, chunk := range l.chunks[:c] {
		at += len(chunk)
	}
	return at + i, found
}

// All yields the elements in order.
func (l List[T]) All() iter.Seq[T] { return l.From("") }

// From yields the elements whose keys are not before key, in order.
func (l List[T]) From(key string) iter.Seq[T] {
	return func(yield func(T) bool) {
		c, i, _ := l.place(key)
		for ; c < len(l.chunks); c, i = c+1, 0 {
			for _, t := range l.chunks[c][i:] {
				if !yield(t) {
					return
				}
			}
		}
	}
}

// Before yields the elements whose keys are before key, the last first.
func (l List[T]) Before(key string) iter.Seq[T] {
	return func(yield func(T) bool) {
		c, i, _ := l.place(key)
		for ; c >= 0; c-- {
			if c < len(l.chunks) {
				for _, t := range slices.Backward(l.chunks[c][:min(i, len(l.chunks[c]))]) {
					if !yield(t) {
						return
					}
				}
			}
			i = chunkSize
		}
	}
}

// Last returns the last element.
func (l List[T]) Last() (t T, found bool) {
	if l.n == 0 {
		return t, false
	}
	chunk := l.chunks[len(l.chunks)-1]
	return chunk[len(chunk)-1], true
}

// Differ yields the keys, in order, of elements that are not the same in both lists. It skips the chunks
// that the two share.
func Differ[T interface {
	comparable
	Keyed
}](a, b List[T],
) iter.Seq[string] {
	return func(yield func(string) bool) {
		x, y := cursor[T]{rest: a.chunks}, cursor[T]{rest: b.chunks}
		for len(x.rest) > 0 || len(y.rest) > 0 {
			if x.skip(&y) {
				continue
			}
			var of, other T
			switch order := x.compare(&y); {
			case order < 0:
				of = x.next()
			case order > 0:
				of = y.next()
			default:
				of, other = x.next(), y.next()
			}
			if of != other && !yield(of.Key()) {
				return
			}
		}
	}
}

// cursor is how far a list was read.
type cursor[T Keyed] struct {
	rest [][]T // none is empty
	i    int   // of the first
}

func (c *cursor[T]) next() T {
	t := c.rest[0][c.i]
	if c.i++; c.i == len(c.rest[0]) {
		c.rest, c.i = c.rest[1:], 0
	}
	return t
}

// skip passes over a chunk that both lists share.
func (c *cursor[T]) skip(other *cursor[T]) bool {
	if c.i != 0 || other.i != 0 || len(c.rest) == 0 || len(other.rest) == 0 ||
		&c.rest[0][0] != &other.rest[0][0] || len(c.rest[0]) != len(other.rest[0]) {
		return false
	}
	c.rest, other.rest = c.rest[1:], other.rest[1:]
	return true
}

// compare says whose next element comes first.
func (c *cursor[T]) compare(other *cursor[T]) int {
	switch {
	case len(other.rest) == 0:
		return -1
	case len(c.rest) == 0:
		return 1
	}
	return strings.Compare(c.rest[0][c.i].Key(), other.rest[0][other.i].Key())
}

// With returns the list with t, which replaces an element with the same key.
func (l List[T]) With(t T) List[T] {
	if len(l.chunks) == 0 {
		return List[T]{chunks: [][]T{{t}}, n: 1}
	}
	c, i, found := l.place(t.Key())
	if c == len(l.chunks) { // behind the last
		c--
		i = len(l.chunks[c])
	}
	rest := i
	if found {
		rest++
	} else {
		l.n++
	}
	chunk := slices.Concat(l.chunks[c][:i], []T{t}, l.chunks[c][rest:])
	if len(chunk) <= chunkSize {
		return List[T]{slices.Concat(l.chunks[:c], [][]T{chunk}, l.chunks[c+1:]), l.n}
	}
	half := len(chunk) / 2
	return List[T]{slices.Concat(l.chunks[:c], [][]T{chunk[:half:half], chunk[half:]}, l.chunks[c+1:]), l.n}
}

// Without returns the list without the element that has the key.
func (l List[T]) Without(key string) List[T] {
	c, i, found := l.place(key)
	if !found {
		return l
	}
	chunk := slices.Concat(l.chunks[c][:i], l.chunks[c][i+1:])
	if len(chunk) == 0 {
		return List[T]{slices.Concat(l.chunks[:c], l.chunks[c+1:]), l.n - 1}
	}
	return List[T]{slices.Concat(l.chunks[:c], [][]T{chunk}, l.chunks[c+1:]), l.n - 1}
}

// place is where the element with the key is or would be: in a chunk, or after the last one.
func (l List[T]) place(key string) (c, i int, found bool) {
	c, _ = slices.BinarySearchFunc(l.chunks, key, func(chunk []T, key string) int {
		return strings.Compare(chunk[len(chunk)-1].Key(), key)
	})
	if c == len(l.chunks) {
		return c, 0, false
	}
	i, found = slices.BinarySearchFunc(l.chunks[c], key, func(t T, key string) int { return strings.Compare(t.Key(), key) })
	return c, i, found
}

// MarshalJSON writes an array, also of an empty list, so that the same elements are the same bytes.
func (l List[T]) MarshalJSON() ([]byte, error) {
	return json.Marshal(append(make([]T, 0, l.n), slices.Collect(l.All())...))
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (l *List[T]) UnmarshalJSON(data []byte) error {
	var elements []T
	if err := json.Unmarshal(data, &elements); err != nil {
		return err
	}
	*l = Of(elements)
	return nil
}

// Kept is a list of whatever elements, for who keeps it one element at a time.
type Kept interface {
	Len() int
	Elements() iter.Seq[any]
	// Read reads n elements, in the order of Elements; read is given a pointer to each.
	Read(n int, read func(element any) error) error
	Clear()
}

// Elements yields the elements in order.
func (l List[T]) Elements() iter.Seq[any] {
	return func(yield func(any) bool) {
		for t := range l.All() {
			if !yield(t) {
				return
			}
		}
	}
}

// Read reads n elements, in order. If one of them cannot be read, the list stays as it was.
func (l *List[T]) Read(n int, read func(element any) error) error {
	var elements []T // n may be wrong
	for range n {
		var t T
		if err := read(&t); err != nil {
			return err
		}
		elements = append(elements, t)
	}
	all := Of(elements)
	if all.Len() != len(elements) {
		return errors.New("the list has an element twice")
	}
	*l = all
	return nil
}

// Clear makes it the empty list.
func (l *List[T]) Clear() { *l = List[T]{} }
