package node

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode"

	"conga/actors"
	"conga/actors/eventlog"
	"conga/transport"
)

const (
	// NoData is the --data of a listener that leaves nothing behind.
	NoData = "none"
	// keepEvents is how much of its own story a listener keeps: weeks of quiet radio.
	keepEvents = 10_000
	// namesakes is how many listeners of one name may run on a machine and have a folder.
	namesakes = 1000
)

// journal is what a listener remembers: its log, and who it is in the chain, so that it
// comes back to its old place.
type journal struct {
	Log      *eventlog.Log
	Identity *transport.Identity
	dir      string // empty: in memory
}

// OpenJournal opens the log of the listener called name. data is its folder, NoData, or
// empty for the usual folder below listeners. The music does not depend on it: what is
// wrong with the usual folder is a warning.
func OpenJournal(data, listeners, name string, logger *slog.Logger) (journal, error) {
	switch data {
	case NoData:
		return memoryJournal()
	case "":
		j, err := namesakeJournal(filepath.Join(listeners, FolderName(name)), logger)
		if err != nil {
			logger.Warn("this listener's log is in memory only", "reason", err)
			return memoryJournal()
		}
		return j, nil
	}
	return diskJournal(data, logger)
}

// MemoryLog is a log in memory: a listener's story ends with it.
func MemoryLog() (*eventlog.Log, error) {
	return ringOver(eventlog.NewMemory())
}

func memoryJournal() (journal, error) {
	log, err := MemoryLog()
	return journal{Log: log, Identity: transport.NewIdentity()}, err
}

// namesakeJournal is diskJournal in dir, or in a numbered folder beside it while other
// listeners of the same name run.
func namesakeJournal(dir string, logger *slog.Logger) (journal, error) {
	j, err := diskJournal(dir, logger)
	for n := 2; errors.Is(err, eventlog.ErrLocked) && n <= namesakes; n++ {
		j, err = diskJournal(dir+"-"+strconv.Itoa(n), logger)
	}
	if err == nil && j.dir != dir {
		logger.Info("another listener of this name runs here", "log", j.dir)
	}
	return j, err
}

// diskJournal opens the log in dir. A damaged one is put aside: it was only a story.
func diskJournal(dir string, logger *slog.Logger) (journal, error) {
	if _, err := os.Stat(filepath.Join(dir, KeyFile)); err == nil {
		return journal{}, fmt.Errorf("%s is a server's data folder: choose another with --data", dir)
	}
	log, err := diskRing(dir, logger)
	if errors.Is(err, eventlog.ErrDamaged) {
		logger.Warn("this listener's log is put aside", "reason", err, "aside", dir+"/*"+asideSuffix)
		if err := putAside(dir); err != nil {
			return journal{}, err
		}
		log, err = diskRing(dir, logger)
	}
	if err != nil {
		return journal{}, err
	}
	key, err := keptKey(filepath.Join(dir, IdentityFile))
	if errors.Is(err, errNoKey) {
		err = fmt.Errorf("%w; remove it, and this listener is a new one", err)
	}
	if err != nil {
		return journal{}, errors.Join(err, log.Close())
	}
	return journal{Log: log, Identity: transport.IdentityOf(key), dir: dir}, nil
}

// diskRing opens the ring in dir. The disk follows behind: no listener waits for it.
func diskRing(dir string, logger *slog.Logger) (*eventlog.Log, error) {
	disk, err := eventlog.OpenSQLite(dir)
	if err != nil {
		return nil, err
	}
	store, err := eventlog.OpenBehind(disk, func(err error) {
		logger.Warn("this listener's log cannot be written", "reason", err)
	})
	if err != nil {
		return nil, errors.Join(err, disk.Close())
	}
	log, err := ringOver(store)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return log, nil
}

func ringOver(store eventlog.Store) (*eventlog.Log, error) {
	return eventlog.OpenRing(store, time.Now, keepEvents, actors.ListenerRing())
}

const asideSuffix = ".damaged"

// putAside renames the log's files, over those that were put aside before.
func putAside(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "conga.db*"))
	if err != nil {
		return err
	}
	for _, file := range files {
		if strings.HasSuffix(file, asideSuffix) {
			continue
		}
		if err := os.Rename(file, file+asideSuffix); err != nil {
			return fmt.Errorf("put the damaged log aside: %w", err)
		}
	}
	return nil
}

// FolderName is name without what a file system or a shell could take for something else.
func FolderName(name string) string {
	safe := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-_.", r) {
			return r
		}
		return '_'
	}, name)
	if strings.Trim(safe, "._") == "" {
		return "listener"
	}
	return safe
}
