package eventlog

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
)

// frozen is the form in which states are kept: as a snapshot, or as the log's base.
type frozen struct {
	Program string                     `json:"program"`
	Seq     uint64                     `json:"seq"`
	Hash    []byte                     `json:"hash"` // of event Seq: it tells whether the snapshot is of this log
	States  map[string]json.RawMessage `json:"states"`
}

// freeze returns the SHA-256 of f's encoding, followed by the encoding: JSON, compressed, because names
// repeat in the state of a large folder.
func (f frozen) freeze() ([]byte, error) {
	packed := bytes.NewBuffer(make([]byte, sha256.Size, 64<<10))
	w, err := flate.NewWriter(packed, flate.BestSpeed)
	if err == nil {
		err = json.NewEncoder(w).Encode(f)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("encode states: %w", err)
	}
	data := packed.Bytes()
	sum := sha256.Sum256(data[sha256.Size:])
	copy(data, sum[:])
	return data, nil
}

func melt(data []byte) (frozen, error) {
	var f frozen
	if len(data) < sha256.Size {
		return f, fmt.Errorf("%w: kept states are cut short", ErrDamaged)
	}
	if sum := sha256.Sum256(data[sha256.Size:]); !bytes.Equal(sum[:], data[:sha256.Size]) {
		return f, fmt.Errorf("%w: kept states do not match their sum", ErrDamaged)
	}
	r := flate.NewReader(bytes.NewReader(data[sha256.Size:]))
	if err := json.NewDecoder(r).Decode(&f); err != nil {
		return f, fmt.Errorf("%w: kept states: %w", ErrDamaged, err)
	}
	return f, nil
}

// program identifies the build: a snapshot of another build may hold states that
// this one would not have reached.
var program = sync.OnceValue(func() string {
	id := "conga"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" || s.Key == "vcs.modified" {
				id += " " + s.Value
			}
		}
	}
	if path, err := os.Executable(); err == nil {
		if info, err := os.Stat(path); err == nil {
			id += fmt.Sprintf(" %d %d", info.Size(), info.ModTime().UnixNano())
		}
	}
	return id
})

// SaveSnapshot keeps the actors' states at event number seq, as encoding/json
// writes them, in place of the previous snapshot. seq must be on disk.
func (l *Log) SaveSnapshot(seq uint64, states map[string]json.RawMessage) error {
	mark, err := l.MarkAt(seq)
	if err != nil {
		return fmt.Errorf("save snapshot: %w", err)
	}
	data, err := frozen{program(), seq, mark.Hash, states}.freeze()
	if err != nil {
		return fmt.Errorf("save snapshot: %w", err)
	}
	if err := l.store.Keep("snapshot", data); err != nil {
		return fmt.Errorf("save snapshot: %w", err)
	}
	return nil
}

// Snapshot returns the event number of the snapshot and actor's state in it; false if there is no
// snapshot, or it is of another program or another log.
func (l *Log) Snapshot(actor string) (uint64, json.RawMessage, bool) {
	f, ok := l.snapshot()
	if !ok {
		return 0, nil, false
	}
	state, ok := f.States[actor]
	return f.Seq, state, ok
}

func (l *Log) snapshot() (frozen, bool) {
	data, err := l.store.Kept("snapshot")
	if err != nil || data == nil {
		return frozen{}, false
	}
	f, err := melt(data)
	if err != nil || f.Program != program() {
		return frozen{}, false
	}
	mark, err := l.MarkAt(f.Seq)
	if err != nil || !bytes.Equal(mark.Hash, f.Hash) {
		return frozen{}, false
	}
	return f, true
}

// MarkAt returns the place behind event number seq, which must be on disk.
func (l *Log) MarkAt(seq uint64) (Mark, error) {
	l.mu.Lock()
	base, durable := l.base, l.durable
	l.mu.Unlock()
	switch seq {
	case base.Seq:
		return base, nil
	case durable.Seq:
		return durable, nil
	}
	if seq < base.Seq || seq > durable.Seq {
		return Mark{}, fmt.Errorf("event %d is not in the log, which has %d to %d", seq, base.Seq+1, durable.Seq)
	}
	rows, err := l.store.Read(seq-1, 1, Whole)
	if err != nil {
		return Mark{}, err
	}
	if len(rows) != 1 || rows[0].Seq != seq {
		return Mark{}, fmt.Errorf("%w: event %d is missing", ErrDamaged, seq)
	}
	return rows[0].Mark(), nil
}
