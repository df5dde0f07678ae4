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

// note is a file of one line beside the database: the number and hash of the event that was
// acknowledged last, and the line's own sum. It is written AFTER each commit, in place and not
// synced: after a power cut it may be late, but never early.
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
		_, _ = n.file.WriteAt(noteText(last), 0) // as long as the one before: a full disk takes it, too
	}
}

func (n *note) close() error { return n.file.Close() }

func noteText(last eventlog.Mark) []byte {
	text := fmt.Appendf(nil, "%020d %x ", last.Seq, last.Hash)
	return fmt.Appendf(text, "%08x\n", crc32.ChecksumIEEE(text))
}

// readNote returns the last event that is known to have been acknowledged, if one is.
func readNote(path string) (last eventlog.Mark, err error) {
	for range 3 { // a server may be writing it
		text, err := os.ReadFile(path + noteSuffix)
		if errors.Is(err, fs.ErrNotExist) {
			return eventlog.Mark{}, nil
		}
		if err != nil {
			return eventlog.Mark{}, fmt.Errorf("read the log's note: %w", err)
		}
		if strings.Trim(string(text), "\x00") == "" { // of a power cut
			return eventlog.Mark{}, nil
		}
		if last, ok := parseNote(string(text)); ok {
			return last, nil
		}
	}
	return eventlog.Mark{}, fmt.Errorf("%w: %s%s: it should say which event was last: if this file is all that is damaged, delete it and start again",
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
