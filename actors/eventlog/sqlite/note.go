package sqlite

import (
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"conga/actors/eventlog"
)

// note is a file of one line beside the database: the number and hash of the last acknowledged event, and
// the line's CRC-32. It is written in place after each commit and not synced, so after a power cut it may
// name an older event, but never one that is not on the disk.
type note struct{ file *os.File }

const noteSuffix = "-last"

func openNote(path string) (*note, error) {
	f, err := os.OpenFile(path+noteSuffix, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the log's note: %w: make the folder writable, or choose another with --data", err)
	}
	return &note{f}, nil
}

// acknowledge notes that last is on disk.
func (n *note) acknowledge(last eventlog.Mark) {
	if last.Seq > 0 {
		_, _ = n.file.WriteAt(noteText(last), 0) // always the same length, so a full disk takes it, too
	}
}

func (n *note) close() error { return n.file.Close() }

func noteText(last eventlog.Mark) []byte {
	text := fmt.Appendf(nil, "%020d %x ", last.Seq, last.Hash)
	return fmt.Appendf(text, "%08x\n", crc32.ChecksumIEEE(text))
}

// readNote returns the last acknowledged event, a zero Mark if there is no note.
func readNote(path string) (last eventlog.Mark, err error) {
	for range 3 { // a server may be writing it
		text, err := os.ReadFile(path + noteSuffix)
		if errors.Is(err, fs.ErrNotExist) {
			return eventlog.Mark{}, nil
		}
		if err != nil {
			return eventlog.Mark{}, fmt.Errorf("read the log's note: %w", err)
		}
		if strings.Trim(string(text), "\x00") == "" { // as a power cut can leave it
			return eventlog.Mark{}, nil
		}
		if last, ok := parseNote(string(text)); ok {
			return last, nil
		}
	}
	return eventlog.Mark{}, fmt.Errorf("%w: %s%s does not name the last event, as it should: if only this file is damaged, delete it and start again",
		eventlog.ErrDamaged, path, noteSuffix)
}

func parseNote(text string) (last eventlog.Mark, ok bool) {
	fields := strings.Fields(text)
	if len(fields) != 3 {
		return last, false
	}
	seq, err := strconv.ParseUint(fields[0], 10, 64)
	hash, err2 := hex.DecodeString(fields[1])
	last = eventlog.Mark{Seq: seq, Hash: hash}
	return last, err == nil && err2 == nil && string(noteText(last)) == text
}
