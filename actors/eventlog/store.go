package eventlog

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
)

// Row is one event as a store keeps it. A Row is never changed.
type Row struct {
	Seq       uint64
	Time      int64 // microseconds since 1970
	Actor     string
	Type      string
	Version   int
	Data      []byte // the event's protobuf
	CauseType string // empty: no cause is kept with this event
	Cause     []byte // the command's protobuf
	Of        int    // on a commit's first event, how many it has; else 0
	Hash      []byte // HashOf this row
}

// Mark is a place in the log: behind event Seq, whose hash is Hash. The place
// before the first event is Mark{}.
type Mark struct {
	Seq  uint64
	Time int64 // microseconds since 1970
	Hash []byte
}

// Part says how much of each row a Read returns.
type Part int

// EventOnly is all that a state needs, and reads twice as fast as Whole.
const (
	Whole Part = iota
	EventOnly
)

// Store keeps a log's rows. It is safe for concurrent use. Every implementation
// must pass the contract test (storetest).
type Store interface {
	// Append keeps rows behind event number expected, all or none, and returns
	// once they survive a power cut. The error is ErrConflict if expected is not the
	// last event. After any other error, ask Marks what is kept.
	Append(expected uint64, rows []Row) error
	// Read returns up to limit rows with Seq > after, in order, and none only at the end.
	// With EventOnly, only Seq, Type, Version and Data may be set.
	Read(after uint64, limit int, part Part) ([]Row, error)
	// Marks returns the base (what was dropped, Mark{} if nothing was) and the last
	// event (the base if there is none behind it).
	Marks() (base, last Mark, err error)
	// Drop removes all events up to base and keeps data under the name "base", both or
	// neither. base must be behind the previous base. If it is also behind the last event, the
	// log continues from there.
	Drop(base Mark, data []byte) error
	// Keep replaces the data under name. Kept returns it, nil if there is none.
	Keep(name string, data []byte) error
	Kept(name string) ([]byte, error)
	// Size returns about how many bytes all of this takes, without the space of dropped events,
	// which will be used again.
	Size() (int64, error)
	// Check looks for damage to the medium that reading rows does not show. It returns ErrDamaged.
	Check(ctx context.Context) error
	// Close releases everything. Calls after it fail.
	Close() error
}

// HashOf returns the SHA-256 of row and of prev, the hash of the row before (nil before
// the first). Fields of variable length are preceded by it, so that no two different rows hash
// the same bytes. It uses scratch and returns it as buf, to be passed in again.
func HashOf(prev []byte, row *Row, scratch []byte) (hash, buf []byte) {
	sum, buf := sumOf(prev, row, scratch)
	return sum[:], buf
}

// sumOf is HashOf without memory for the hash.
func sumOf(prev []byte, row *Row, scratch []byte) (sum [sha256.Size]byte, buf []byte) {
	b := scratch[:0]
	var first [sha256.Size]byte
	if len(prev) == 0 {
		prev = first[:]
	}
	b = append(b, prev...)
	b = binary.BigEndian.AppendUint64(b, row.Seq)
	b = binary.BigEndian.AppendUint64(b, uint64(row.Time))
	b = appendField(b, row.Actor)
	b = appendField(b, row.Type)
	b = binary.AppendUvarint(b, uint64(row.Version))
	b = appendField(b, row.Data)
	b = appendField(b, row.CauseType)
	b = appendField(b, row.Cause)
	b = binary.AppendUvarint(b, uint64(row.Of))
	return sha256.Sum256(b), b
}

func appendField[T string | []byte](b []byte, field T) []byte {
	b = binary.AppendUvarint(b, uint64(len(field)))
	return append(b, field...)
}

// Mark returns the place behind the row.
func (r *Row) Mark() Mark { return Mark{Seq: r.Seq, Time: r.Time, Hash: r.Hash} }

// size returns about how many bytes of memory the row takes.
func (r *Row) size() int {
	return 256 + len(r.Actor) + len(r.Type) + 2*len(r.Data) + len(r.CauseType) + 2*len(r.Cause)
}
