package eventlog

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
)

// SQLite does not notice a flipped bit in a value, in a view or in unused space.
// The hash chain guards the events; the sums guard every page of the file, whatever
// it holds: conga.db-sums has a CRC-32C for each page, in page order, behind a
// header. Pages change only at a checkpoint, and these are ours:
//
//  1. the header says that a checkpoint has begun (synced),
//  2. SQLite copies the write-ahead log into the file (and syncs it),
//  3. the pages' sums are taken from the write-ahead log, written and synced,
//  4. the write-ahead log is emptied.
//
// A crash in between leaves the write-ahead log, whose frames have SQLite's own
// sums: the file's pages that it replaces need none then. The header also says which
// event was acknowledged last, so that a lost end of the write-ahead log is seen.
// It is not synced: after a power cut it may be late, but never early.

const (
	sumsMagic  = "conga sums 1\n"
	headerSize = 128
	flagDirty  = 1
	flagMoving = 2
	sumSize    = 4
	// quickBytes is how much of the file is compared when it is opened: all of a
	// month's log, the first and the newest pages of a year's.
	quickBytes = 64 << 20
	// A page of SQLite has so many bytes.
	minPageSize, maxPageSize = 512, 65536
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sums is the file beside the database. Its user sees to it that there is one
// call at a time.
type sums struct {
	path     string // of the database
	file     *os.File
	readOnly bool
	stale    bool // the file does not describe the database: renew it
	h        sumsHeader
}

// sumsHeader is the fixed beginning of the file.
type sumsHeader struct {
	pageSize uint32
	pages    uint32 // how many sums follow
	dirty    bool   // the write-ahead log has what the sums do not know yet
	moving   bool   // a checkpoint has begun: pages that the write-ahead log has may be half written
	last     Mark   // the last event that was acknowledged
}

func (h sumsHeader) encode() []byte {
	b := make([]byte, 0, headerSize)
	b = append(b, sumsMagic...)
	b = binary.BigEndian.AppendUint32(b, h.pageSize)
	b = binary.BigEndian.AppendUint32(b, h.pages)
	flags := byte(0)
	if h.dirty {
		flags |= flagDirty
	}
	if h.moving {
		flags |= flagMoving
	}
	b = append(b, flags)
	b = binary.BigEndian.AppendUint64(b, h.last.Seq)
	b = append(b, h.last.Hash...)
	b = b[:headerSize-sumSize]
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func decodeSumsHeader(b []byte) (h sumsHeader, ok bool) {
	if len(b) != headerSize || !bytes.HasPrefix(b, []byte(sumsMagic)) ||
		crc32.Checksum(b[:headerSize-sumSize], castagnoli) != binary.BigEndian.Uint32(b[headerSize-sumSize:]) {
		return h, false
	}
	b = b[len(sumsMagic):]
	h.pageSize, h.pages = binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	h.dirty, h.moving = b[8]&flagDirty != 0, b[8]&flagMoving != 0
	h.last = Mark{Seq: binary.BigEndian.Uint64(b[9:]), Hash: bytes.Clone(b[17:49])}
	return h, true
}

// openSums opens the sums of the database at path. Missing ones are stale; for a
// new database they are simply new.
func openSums(path string, readOnly bool) (*sums, error) {
	s := &sums{path: path, readOnly: readOnly}
	flags := os.O_RDWR | os.O_CREATE
	if readOnly {
		flags = os.O_RDONLY
	}
	var err error
	s.file, err = os.OpenFile(path+"-sums", flags, 0o644)
	if readOnly && errors.Is(err, os.ErrNotExist) {
		s.stale = true
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open the log's sums: %w: make the folder writable, or choose another with --data", err)
	}
	if err := s.load(); err != nil {
		_ = s.file.Close()
		return nil, err
	}
	return s, nil
}

// load reads the header.
func (s *sums) load() error {
	b := make([]byte, headerSize)
	var h sumsHeader
	ok := false
	for try := 0; !ok && try < 3; try++ { // a server may be writing it
		n, err := s.file.ReadAt(b, 0)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read %s-sums: %w", s.path, err)
		}
		if n == 0 {
			s.h, s.stale = sumsHeader{}, true
			return nil
		}
		h, ok = decodeSumsHeader(b[:n])
	}
	if !ok {
		return fmt.Errorf("%w: %s-sums: its header: if this file is all that is damaged, delete it and start again: the log is then checked from its first event", ErrDamaged, s.path)
	}
	s.h = h
	wal, err := readWAL(s.path)
	if err != nil {
		return err
	}
	// Another program (sqlite3 after a crash) has worked the write-ahead log into the file.
	s.stale = h.pages == 0 || h.dirty && wal.frames == 0
	return nil
}

func (s *sums) writeHeader() error {
	_, err := s.file.WriteAt(s.h.encode(), 0)
	if err != nil {
		return fmt.Errorf("write %s-sums: %w", s.path, err)
	}
	return nil
}

// touch notes BEFORE a transaction that the sums will be behind.
func (s *sums) touch() {
	if !s.h.dirty {
		s.h.dirty = true
		_ = s.writeHeader() // in place, in a sector that exists: late is harmless
	}
}

// acknowledge notes AFTER the commit that last is on disk.
func (s *sums) acknowledge(last Mark) {
	s.h.last = last
	_ = s.writeHeader()
}

// head returns the last event that is known to have been acknowledged.
func (s *sums) head() (Mark, bool) { return s.h.last, s.h.last.Seq > 0 }

func pageSum(page []byte) uint32 { return crc32.Checksum(page, castagnoli) }

// check compares the database's pages with their sums; the first and the newest
// bytes of it if it has more than limit and limit is not 0.
func (s *sums) check(ctx context.Context, limit int64) error {
	// A server may be at a checkpoint while a reader looks: look again, real damage stays.
	var err error
	for range 3 {
		if err = s.checkOnce(ctx, limit); err == nil || !s.readOnly || ctx.Err() != nil {
			return err
		}
		if loadErr := s.load(); loadErr != nil {
			return loadErr
		}
	}
	return err
}

func (s *sums) checkOnce(ctx context.Context, limit int64) error {
	if s.stale {
		return nil
	}
	wal, err := readWAL(s.path)
	if err != nil {
		return err
	}
	db, err := os.Open(s.path)
	if errors.Is(err, os.ErrNotExist) && s.h.pages == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	defer db.Close()
	kept := make([]byte, int(s.h.pages)*sumSize)
	if _, err := s.file.ReadAt(kept, headerSize); err != nil && s.h.pages > 0 {
		return fmt.Errorf("%w: %s-sums: cut short: delete it and start again: the log is then checked from its first event", ErrDamaged, s.path)
	}
	size := int64(s.h.pageSize)
	if info, err := db.Stat(); err == nil && !s.h.moving && info.Size() != size*int64(s.h.pages) {
		return damaged(s.path, fmt.Sprintf("it has %d bytes, %d were written", info.Size(), size*int64(s.h.pages)))
	}
	buf := make([]byte, size)
	for i := uint32(0); i < s.h.pages; i++ {
		if i%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if limit > 0 && i > 0 && int64(s.h.pages-i)*size > limit {
			i = s.h.pages - uint32(limit/size)
		}
		if _, replaced := wal.pages[i+1]; replaced && s.h.moving {
			continue
		}
		if _, err := db.ReadAt(buf, int64(i)*size); err != nil {
			return damaged(s.path, fmt.Sprintf("page %d (from byte %d) cannot be read: %v", i+1, int64(i)*size, err))
		}
		if pageSum(buf) != binary.BigEndian.Uint32(kept[int(i)*sumSize:]) {
			return damaged(s.path, fmt.Sprintf("page %d (bytes %d to %d) is not what was written", i+1, int64(i)*size, int64(i+1)*size-1))
		}
	}
	return nil
}

// begin notes BEFORE a checkpoint that pages of the file will change.
func (s *sums) begin() error {
	s.h.moving = true
	if err := s.writeHeader(); err != nil {
		return err
	}
	if err := s.file.Sync(); err != nil {
		return fmt.Errorf("sync %s-sums: %w", s.path, err)
	}
	return nil
}

// update takes over the sums of a write-ahead log that is in the file now.
func (s *sums) update(wal wal) error {
	for number, sum := range wal.pages {
		if number > wal.size {
			continue
		}
		at := headerSize + int64(number-1)*sumSize
		if _, err := s.file.WriteAt(binary.BigEndian.AppendUint32(nil, sum), at); err != nil {
			return fmt.Errorf("write %s-sums: %w", s.path, err)
		}
	}
	return s.settle(wal.pageSize, wal.size)
}

// renew computes all sums from the file, which the caller has checked.
func (s *sums) renew(pageSize uint32) error {
	db, err := os.Open(s.path)
	if err != nil {
		return fmt.Errorf("open the log: %w", err)
	}
	defer db.Close()
	buf := make([]byte, pageSize)
	all := make([]byte, 0, 1<<16)
	pages := uint32(0)
	for ; ; pages++ {
		_, err := db.ReadAt(buf, int64(pages)*int64(pageSize))
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", s.path, err)
		}
		all = binary.BigEndian.AppendUint32(all, pageSum(buf))
	}
	if _, err := s.file.WriteAt(all, headerSize); err != nil {
		return fmt.Errorf("write %s-sums: %w", s.path, err)
	}
	return s.settle(pageSize, pages)
}

// settle makes the sums of a file of so many pages final.
func (s *sums) settle(pageSize, pages uint32) error {
	s.h.pageSize, s.h.pages, s.h.dirty, s.h.moving, s.stale = pageSize, pages, false, false, false
	if err := s.file.Truncate(headerSize + int64(pages)*sumSize); err != nil {
		return fmt.Errorf("write %s-sums: %w", s.path, err)
	}
	if err := s.writeHeader(); err != nil {
		return err
	}
	if err := s.file.Sync(); err != nil {
		return fmt.Errorf("sync %s-sums: %w", s.path, err)
	}
	return nil
}

func (s *sums) close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

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
	if info, err := os.Stat(s.path + "-wal"); err == nil && info.Size() > maxWAL {
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
