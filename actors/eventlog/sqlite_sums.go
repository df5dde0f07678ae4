package eventlog

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
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
	// small log, the first and the newest pages of a year's.
	quickBytes = 32 << 20
	// readPages is how many pages are read at once.
	readPages = 64
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
	buf := make([]byte, size*readPages)
	for i := int64(0); i < int64(s.h.pages); i += readPages {
		if err := ctx.Err(); err != nil {
			return err
		}
		if limit > 0 && i > 0 && (int64(s.h.pages)-i)*size > limit {
			i = int64(s.h.pages) - limit/size
		}
		n, err := db.ReadAt(buf, i*size)
		if err != nil && !errors.Is(err, io.EOF) {
			return damaged(s.path, fmt.Sprintf("pages behind %d (from byte %d) cannot be read: %v", i, i*size, err))
		}
		for j := i; j < min(i+readPages, int64(s.h.pages)); j++ {
			if _, replaced := wal.pages[uint32(j+1)]; replaced && s.h.moving {
				continue
			}
			page := buf[(j-i)*size : (j-i+1)*size]
			if int64(n) < (j-i+1)*size || pageSum(page) != binary.BigEndian.Uint32(kept[j*sumSize:]) {
				return damaged(s.path, fmt.Sprintf("page %d (bytes %d to %d) is not what was written", j+1, j*size, (j+1)*size-1))
			}
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

// forget lets whoever opens the database next check it whole, and make new sums.
func (s *sums) forget() {
	s.h.pages, s.h.moving, s.h.dirty = 0, false, false
	_ = s.writeHeader()
}

func (s *sums) close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}
