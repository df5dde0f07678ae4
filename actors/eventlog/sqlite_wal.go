package eventlog

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
)

// wal is what a write-ahead log has committed: the sum of the newest copy of each
// page, and the database's size in pages.
type wal struct {
	pageSize, size uint32
	frames         int
	pages          map[uint32]uint32
}

const (
	walHeader   = 32
	frameHeader = 24
)

// readWAL reads the committed frames of the write-ahead log of the database at path,
// as SQLite itself would: up to the first whose salt or sum is wrong.
func readWAL(path string) (wal, error) {
	w := wal{pages: map[uint32]uint32{}}
	f, err := os.Open(path + "-wal")
	if errors.Is(err, os.ErrNotExist) {
		return w, nil
	}
	if err != nil {
		return w, fmt.Errorf("open the write-ahead log: %w", err)
	}
	defer f.Close()
	head := make([]byte, walHeader)
	if _, err := f.ReadAt(head, 0); err != nil {
		return w, nil //nolint:nilerr // shorter than a header: nothing is committed
	}
	var order binary.ByteOrder = binary.LittleEndian
	magic := binary.BigEndian.Uint32(head)
	if magic&1 == 1 {
		order = binary.BigEndian
	}
	w.pageSize = binary.BigEndian.Uint32(head[8:])
	s0, s1 := walSum(order, 0, 0, head[:24])
	if magic&^1 != 0x377f0682 || w.pageSize < minPageSize || w.pageSize > maxPageSize ||
		s0 != binary.BigEndian.Uint32(head[24:]) || s1 != binary.BigEndian.Uint32(head[28:]) {
		return w, nil
	}
	open := map[uint32]uint32{} // pages of a transaction that has not committed yet
	frame := make([]byte, frameHeader+int(w.pageSize))
	for n := 0; ; n++ {
		if _, err := f.ReadAt(frame, walHeader+int64(n)*int64(len(frame))); err != nil {
			return w, nil //nolint:nilerr // the end, or a torn frame
		}
		s0, s1 = walSum(order, s0, s1, frame[:8])
		s0, s1 = walSum(order, s0, s1, frame[frameHeader:])
		if !bytes.Equal(frame[8:16], head[16:24]) ||
			s0 != binary.BigEndian.Uint32(frame[16:]) || s1 != binary.BigEndian.Uint32(frame[20:]) {
			return w, nil
		}
		open[binary.BigEndian.Uint32(frame)] = pageSum(frame[frameHeader:])
		if size := binary.BigEndian.Uint32(frame[4:]); size > 0 { // the transaction's last frame
			for number, sum := range open {
				w.pages[number] = sum
			}
			clear(open)
			w.size, w.frames = size, n+1
		}
	}
}

// walSum is SQLite's checksum over a multiple of eight bytes.
func walSum(order binary.ByteOrder, s0, s1 uint32, b []byte) (uint32, uint32) {
	for ; len(b) >= 8; b = b[8:] {
		s0 += order.Uint32(b) + s1
		s1 += order.Uint32(b[4:]) + s0
	}
	return s0, s1
}

// maybeCheckpoint runs a checkpoint when the write-ahead log has grown. Its failure
// costs nobody an event: the write-ahead log grows on, and the next one tries again.
func (s *sqliteStore) maybeCheckpoint() {
	if info, err := os.Stat(s.path + "-wal"); err == nil && info.Size() > s.maxWAL {
		_ = s.checkpoint()
	}
}

// checkpoint works the write-ahead log into the file, as described at the top.
func (s *sqliteStore) checkpoint() error {
	w, err := readWAL(s.path)
	if err != nil || w.frames == 0 {
		return err
	}
	if err := s.sums.begin(); err != nil {
		return err
	}
	done, err := s.runCheckpoint("PASSIVE")
	if err != nil || !done {
		return err // a reader is still in the middle of it: the next one will do
	}
	if s.sums.stale {
		err = s.sums.renew(w.pageSize)
	} else {
		err = s.sums.update(w)
	}
	if err != nil {
		return err
	}
	_, err = s.runCheckpoint("TRUNCATE")
	return err
}

func (s *sqliteStore) runCheckpoint(mode string) (done bool, err error) {
	busy, frames, moved := 0, 0, 0
	if err := s.write.QueryRow(`PRAGMA wal_checkpoint(`+mode+`)`).Scan(&busy, &frames, &moved); err != nil {
		return false, s.explain(err)
	}
	return busy == 0 && frames == moved, nil
}

// renewSums makes new sums for a file that has none that fit, after a check of all
// that it holds.
func (s *sqliteStore) renewSums(base, last Mark) error {
	if _, err := verifyRows(context.Background(), s, base, last, false); err != nil {
		return fmt.Errorf("%s: %w", s.path, err)
	}
	if err := s.integrity(context.Background()); err != nil {
		return err
	}
	s.sums.h.pages, s.sums.h.last = 0, last // stale, until a checkpoint comes through
	if err := s.sums.writeHeader(); err != nil {
		return err
	}
	if done, err := s.runCheckpoint("TRUNCATE"); err != nil || !done {
		return err
	}
	var pageSize int64
	if err := s.write.QueryRow(`PRAGMA page_size`).Scan(&pageSize); err != nil {
		return s.explain(err)
	}
	return s.sums.renew(uint32(min(pageSize, math.MaxUint32)))
}
