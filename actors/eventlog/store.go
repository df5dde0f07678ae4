package eventlog

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
)

// Row is one event as a store keeps it. Rows are never changed.
type Row struct {
	Seq       uint64
	Time      int64 // microseconds since 1970
	Actor     string
	Type      string
	Version   int
	Data      []byte // the event's protobuf
	CauseType string // empty: no cause is kept with this event
	Cause     []byte // the command's protobuf
	Of        int    // events in the commit, on its first event; else 0
	Hash      []byte
}

// Mark is a place in the log: behind event Seq, whose hash is Hash. The place
// before the first event is Mark{}.
type Mark struct {
	Seq  uint64
	Time int64 // microseconds since 1970
	Hash []byte
}

// Part is how much of its rows a Read wants.
type Part int

// Whole rows, or what a state needs of them, which reads twice as fast.
const (
	Whole Part = iota
	EventOnly
)

// Store is the port behind which a log's rows are kept. A Store is safe for
// concurrent use. Its promises are pinned by the contract test, which every
// implementation must pass.
type Store interface {
	// Append keeps rows behind event number expected, all or none, and returns
	// when they survive a power cut. It is ErrConflict if the last event is
	// another. After any other error, Marks tells what is kept.
	Append(expected uint64, rows []Row) error
	// Read returns up to limit rows with Seq > after, in order; of EventOnly perhaps
	// no more than Seq, Type, Version and Data. There may be fewer than limit; there are
	// none only at the end.
	Read(after uint64, limit int, part Part) ([]Row, error)
	// Marks returns the base (what was dropped, Mark{} if nothing was) and the last
	// event (the base if there is none behind it).
	Marks() (base, last Mark, err error)
	// Drop forgets all events up to base, and keeps data under the name "base", in
	// one unit. base must be behind the base before; if it is behind the last event, too, the log goes
	// on from there.
	Drop(base Mark, data []byte) error
	// Keep replaces the data under name; Kept returns it, nil if there is none.
	Keep(name string, data []byte) error
	Kept(name string) ([]byte, error)
	// Size is about how many bytes all of this takes; what was dropped is not counted, for its
	// room is used again.
	Size() (int64, error)
	// Check looks for damage of the medium that no row shows: ErrDamaged.
	Check(ctx context.Context) error
	// Close releases everything. Calls after it fail.
	Close() error
}

// HashOf returns the hash of row, whose predecessor's hash is prev (nil before
// the first). Every field has its length before it, so that no two rows look the
// same to the hash.
func HashOf(prev []byte, row *Row, scratch []byte) (hash, buf []byte) {
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
	sum := sha256.Sum256(b)
	return sum[:], b
}

func appendField[T string | []byte](b []byte, field T) []byte {
	b = binary.AppendUvarint(b, uint64(len(field)))
	return append(b, field...)
}

// Mark is the place behind the row.
func (r *Row) Mark() Mark { return Mark{Seq: r.Seq, Time: r.Time, Hash: r.Hash} }

// size is about what the row takes in memory, in bytes.
func (r *Row) size() int {
	return 256 + len(r.Actor) + len(r.Type) + 2*len(r.Data) + len(r.CauseType) + 2*len(r.Cause)
}
