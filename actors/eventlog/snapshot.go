package eventlog

import (
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"sync"
)

// kept is what is kept of the actors' states: as a snapshot, or as the log's base. In bytes it is the SHA-256 of
// all that follows, a line of JSON, and the states.
type kept struct {
	Program string      `json:"program"`
	Seq     uint64      `json:"seq"`
	Hash    []byte      `json:"hash"` // of event Seq: it tells whether the snapshot is of this log
	States  []keptState `json:"states"`

	packed []byte // the states, one behind the other
}

type keptState struct {
	Actor string `json:"actor"`
	Bytes int    `json:"bytes"`
}

// pack returns what melt reads. The states are compressed, because names repeat in the state of a large folder, and each
// by itself, because an actor reads only its own.
func pack(program string, at Mark, states map[string]Frozen) ([]byte, error) {
	head := kept{Program: program, Seq: at.Seq, Hash: at.Hash}
	var packed bytes.Buffer
	w, err := flate.NewWriter(nil, flate.BestSpeed)
	if err != nil {
		return nil, fmt.Errorf("encode states: %w", err)
	}
	for _, actor := range slices.Sorted(maps.Keys(states)) {
		before := packed.Len()
		w.Reset(&packed)
		if err := states[actor].write(json.NewEncoder(w)); err != nil {
			return nil, fmt.Errorf("encode the state of %s: %w", actor, err)
		}
		if err := w.Close(); err != nil {
			return nil, fmt.Errorf("compress the state of %s: %w", actor, err)
		}
		head.States = append(head.States, keptState{actor, packed.Len() - before})
	}
	line, err := json.Marshal(head)
	if err != nil {
		return nil, fmt.Errorf("encode states: %w", err)
	}
	data := slices.Concat(make([]byte, sha256.Size), line, []byte{'\n'}, packed.Bytes())
	sum := sha256.Sum256(data[sha256.Size:])
	copy(data, sum[:])
	return data, nil
}

func melt(data []byte) (k kept, err error) {
	if len(data) < sha256.Size {
		return k, fmt.Errorf("%w: kept states are cut short", ErrDamaged)
	}
	if sum := sha256.Sum256(data[sha256.Size:]); !bytes.Equal(sum[:], data[:sha256.Size]) {
		return k, fmt.Errorf("%w: kept states do not match their sum", ErrDamaged)
	}
	line, packed, _ := bytes.Cut(data[sha256.Size:], []byte{'\n'})
	if err := json.Unmarshal(line, &k); err != nil {
		return k, fmt.Errorf("%w: kept states: %w", ErrDamaged, err)
	}
	k.packed = packed
	return k, nil
}

// state returns what was kept of the actor's state, nil if nothing was.
func (k kept) state(actor string) []byte {
	at := 0
	for _, s := range k.States {
		if s.Bytes < 0 || at+s.Bytes > len(k.packed) {
			return nil
		}
		if s.Actor == actor {
			return k.packed[at : at+s.Bytes]
		}
		at += s.Bytes
	}
	return nil
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

// snapshotName is the name under which a store keeps the snapshot.
const snapshotName = "snapshot"

// SaveSnapshot keeps the actors' states at event number seq in place of the previous snapshot. seq must be on disk.
func (l *Log) SaveSnapshot(seq uint64, states map[string]Frozen) error {
	data, err := l.Snapshot(seq, states)
	if err != nil {
		return err
	}
	if err := l.store.Keep(snapshotName, data); err != nil {
		return fmt.Errorf("save snapshot: %w", err)
	}
	l.own.Store(nil)
	return nil
}

// Snapshot returns what SaveSnapshot keeps.
func (l *Log) Snapshot(seq uint64, states map[string]Frozen) ([]byte, error) {
	mark, err := l.MarkAt(seq)
	if err != nil {
		return nil, fmt.Errorf("make a snapshot: %w", err)
	}
	data, err := pack(program(), mark, states)
	if err != nil {
		return nil, fmt.Errorf("make a snapshot: %w", err)
	}
	return data, nil
}

// SnapshotSeq returns the event number of the snapshot; 0 if there is none, or it is of another program or another log.
func (l *Log) SnapshotSeq() uint64 {
	k, _ := l.snapshot()
	return k.Seq
}

func (l *Log) snapshot() (kept, bool) {
	if own := l.own.Load(); own != nil {
		return *own, true
	}
	data, err := l.store.Kept(snapshotName)
	if err != nil || data == nil {
		return kept{}, false
	}
	return l.usable(data)
}

// usable returns the snapshot in data, and whether it is this program's and of this log.
func (l *Log) usable(data []byte) (kept, bool) {
	k, err := melt(data)
	if err != nil || k.Program != program() {
		return kept{}, false
	}
	mark, err := l.MarkAt(k.Seq)
	if err != nil || !bytes.Equal(mark.Hash, k.Hash) {
		return kept{}, false
	}
	return k, true
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
