package node

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"conga/actors"
	"conga/actors/eventlog"
	"conga/actors/eventlog/sqlite"
	"conga/cmd/internal/keys"
	"conga/transport"
)

const (
	// NoData is the --data of a listener that leaves nothing behind.
	NoData = "none"
	// keepEvents is how many events a listener's log keeps: some quiet weeks.
	keepEvents = 10_000
	// namesakes is how many listeners of one name may run on a machine with a folder each.
	namesakes = 1000
)

// Journal is what a listener keeps: its log, and its identity in the chain, so that it comes
// back to its old place.
type Journal struct {
	Log      *eventlog.Log
	Identity *transport.Identity
	dir      string // empty: in memory
	fresh    bool   // dir was made for it
}

// Abandon closes the journal of a listener that has not joined, and removes what was made for it.
func (j Journal) Abandon() error { return errors.Join(j.Log.Close(), j.discard()) }

// discard removes what was made for a journal, which is closed.
func (j Journal) discard() error {
	if !j.fresh {
		return nil
	}
	files, err := filepath.Glob(filepath.Join(j.dir, "conga.*"))
	for _, file := range append(files, filepath.Join(j.dir, keys.IdentityFile), j.dir) {
		err = errors.Join(err, os.Remove(file))
	}
	return err
}

// OpenJournal opens the log of the listener called name. data is its folder, NoData, or empty for
// the usual folder below listeners. The music does not depend on the log, so an error in the
// usual folder is only a warning.
func OpenJournal(data, listeners, name string, logger *slog.Logger) (Journal, error) {
	switch data {
	case NoData:
		return memoryJournal()
	case "":
		dir := filepath.Join(listeners, folderName(name))
		warnHomeless(dir, logger)
		j, err := namesakeJournal(dir, logger)
		if err != nil {
			logger.Warn("this listener's log is in memory only", "reason", err)
			return memoryJournal()
		}
		return j, nil
	}
	return diskJournal(data, logger)
}

// memoryJournal returns a journal in memory, which ends with the listener.
func memoryJournal() (Journal, error) {
	log, err := ringOver(eventlog.NewMemory())
	return Journal{Log: log, Identity: transport.NewIdentity()}, err
}

// namesakeJournal is diskJournal in dir, or in a numbered folder beside it while other
// listeners of the same name run.
func namesakeJournal(dir string, logger *slog.Logger) (Journal, error) {
	j, err := diskJournal(dir, logger)
	for n := 2; errors.Is(err, eventlog.ErrLocked) && n <= namesakes; n++ {
		j, err = diskJournal(dir+"-"+strconv.Itoa(n), logger)
	}
	if err == nil && j.dir != dir {
		logger.Info("another listener of this name runs here", "log", j.dir)
	}
	return j, err
}

// diskJournal opens the log in dir. A damaged log is renamed, because nothing depends on it.
func diskJournal(dir string, logger *slog.Logger) (Journal, error) {
	if _, err := os.Stat(filepath.Join(dir, keys.SigningFile)); err == nil {
		return Journal{}, fmt.Errorf("%s is a server's data folder: choose another with --data", dir)
	}
	_, missing := os.Stat(dir)
	log, err := diskRing(dir, logger)
	if errors.Is(err, eventlog.ErrDamaged) {
		logger.Warn("this listener's log is put aside", "reason", err, "aside", dir+"/*"+asideSuffix)
		if err := putAside(dir); err != nil {
			return Journal{}, err
		}
		log, err = diskRing(dir, logger)
	}
	if err != nil {
		return Journal{}, err
	}
	key, err := keys.Identity(dir)
	if err != nil {
		return Journal{}, errors.Join(err, log.Close())
	}
	return Journal{Log: log, Identity: transport.IdentityOf(key), dir: dir, fresh: errors.Is(missing, fs.ErrNotExist)}, nil
}

// diskRing opens the ring in dir. It is written in the background, so no listener waits for the disk.
func diskRing(dir string, logger *slog.Logger) (*eventlog.Log, error) {
	disk, err := sqlite.Open(dir)
	if err != nil {
		return nil, err
	}
	store, err := eventlog.OpenDiary(disk, func(err error) {
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

// FindJournal finds the folder, below listeners, of the listener that has one of the ids; without ids, the one with the
// name or id. dir is empty if there is none.
func FindJournal(listeners, name string, ids []string) (dir, id string, err error) {
	dirs, err := filepath.Glob(filepath.Join(listeners, "*"))
	if err != nil {
		return "", "", err
	}
	for _, dir := range dirs {
		key, err := keys.FindIdentity(dir)
		if err != nil {
			continue
		}
		id := transport.IdentityOf(key).ID()
		if slices.Contains(ids, id) || len(ids) == 0 && (strings.EqualFold(filepath.Base(dir), folderName(name)) || id == name) {
			return dir, id, nil
		}
	}
	return "", "", nil
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

// folderName is the name without characters that mean something to a file system or a shell.
func folderName(name string) string {
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
