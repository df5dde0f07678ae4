package eventlog

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
)

// memory keeps rows in the process's memory.
type memory struct {
	mu     sync.Mutex
	closed bool
	base   Mark
	rows   []Row
	kept   map[string][]byte
}

// NewMemory returns an empty Store that ends with the process: for tests, and for --data none.
func NewMemory() Store { return newMemory() }

func newMemory() *memory { return &memory{kept: map[string][]byte{}} }

func (m *memory) last() Mark {
	if len(m.rows) == 0 {
		return m.base
	}
	return m.rows[len(m.rows)-1].Mark()
}

func (m *memory) Append(expected uint64, rows []Row) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	if m.last().Seq != expected {
		return ErrConflict
	}
	m.rows = append(m.rows, rows...)
	return nil
}

func (m *memory) Read(after uint64, limit int, _ Part) ([]Row, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrClosed
	}
	skip := min(max(after, m.base.Seq)-m.base.Seq, uint64(len(m.rows)))
	rows := m.rows[skip:]
	return slices.Clone(rows[:min(len(rows), limit)]), nil
}

// behind returns, at one moment, the base, the states there, and the first commits of the rows behind seq.
// If some of those have been dropped, it returns the first commits of all rows.
func (m *memory) behind(seq uint64) (base Mark, states []byte, rows []Row) {
	m.mu.Lock()
	defer m.mu.Unlock()
	skip := min(max(seq, m.base.Seq)-m.base.Seq, uint64(len(m.rows)))
	return m.base, m.kept["base"], commits(m.rows[skip:])
}

func (m *memory) Marks() (base, last Mark, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return Mark{}, Mark{}, ErrClosed
	}
	return m.base, m.last(), nil
}

func (m *memory) Drop(base Mark, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	if base.Seq <= m.base.Seq {
		return fmt.Errorf("drop events up to %d: the log begins behind event %d", base.Seq, m.base.Seq)
	}
	gone := min(base.Seq-m.base.Seq, uint64(len(m.rows)))
	m.rows = slices.Clone(m.rows[gone:]) // a new array: the old rows can be collected
	m.base = base
	m.kept["base"] = bytes.Clone(data)
	return nil
}

func (m *memory) Keep(name string, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return ErrClosed
	}
	m.kept[name] = bytes.Clone(data)
	return nil
}

func (m *memory) Kept(name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrClosed
	}
	return bytes.Clone(m.kept[name]), nil
}

func (m *memory) Size() (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return 0, ErrClosed
	}
	size := int64(0)
	for i := range m.rows {
		size += int64(m.rows[i].size())
	}
	for _, data := range m.kept {
		size += int64(len(data))
	}
	return size, nil
}

func (m *memory) Check(context.Context) error { return nil }

func (m *memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed, m.rows, m.kept = true, nil, nil
	return nil
}
