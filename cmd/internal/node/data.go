package node

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"conga/actors/eventlog"
	"conga/actors/eventlog/sqlite"
	"conga/cmd/internal/keys"
	"conga/cmd/internal/monitor"
	"conga/transport"
)

// reserveBytes is reserved on the disk for a time when the disk is full: it has room for some hours of songs and
// goodbyes, each of which costs some pages.
const reserveBytes = 8 << 20

// Data is what a server keeps.
type Data struct {
	Store eventlog.Store
	Key   ed25519.PrivateKey // signs the broadcast
	Disk  transport.Disk     // below Store; nil: the disk is never full
	// Watched measures the disk; nil: there is none.
	Watched *monitor.Disk
}

// OpenData opens the log and the key in dir, or makes them, and remembers the songs folder.
func OpenData(dir, songs string, logger *slog.Logger) (Data, error) {
	if _, err := os.Stat(filepath.Join(dir, keys.IdentityFile)); err == nil {
		return Data{}, fmt.Errorf("%s is a listener's data folder: choose another with --data", dir)
	}
	warnHomeless(dir, logger)
	store, err := sqlite.Open(dir)
	if err != nil {
		return Data{}, err
	}
	key, err := keys.Signing(dir)
	if err != nil {
		return Data{}, errors.Join(err, store.Close())
	}
	watched := monitor.NewDisk()
	steady, err := eventlog.OpenSteady(store, eventlog.SteadyConfig{
		Reserve: sqlite.NewReserve(dir, reserveBytes),
		Tell: func(state eventlog.DiskState, why error) {
			watched.Told(state)
			tellDisk(logger, dir, state, why)
		},
		Wrote: watched.Wrote,
		Look: func() {
			if err := keys.KeepSigning(dir, key); err != nil {
				logger.Error("the server's key is gone from its folder and cannot be written again: after a restart listeners will refuse this server", "reason", err)
			}
		},
	})
	if err != nil {
		return Data{}, errors.Join(err, store.Close())
	}
	if err := keepSongs(songs, dir); err != nil {
		logger.Warn("the path of the songs folder could not be saved: a start while the folder is away will be refused", "reason", err)
	}
	return Data{Store: steady, Key: key, Disk: steady, Watched: watched}, nil
}

// MemoryData is for a server that leaves nothing behind.
func MemoryData() Data { return Data{Store: eventlog.NewMemory(), Key: keys.New()} }

// tellDisk says how the log's disk is doing, and what that means for people.
func tellDisk(logger *slog.Logger, data string, state eventlog.DiskState, why error) {
	switch state {
	case eventlog.DiskFull:
		logger.Error("the disk is full: make room on it. The music plays on and the log uses its reserve, but nobody can ask for songs", "data", data, "reason", why)
	case eventlog.DiskAway:
		logger.Error("the log cannot be written: repair its disk. The music plays on and events are kept in memory, but nobody can ask for songs", "data", data, "reason", why)
	case eventlog.DiskFine:
		logger.Info("the whole log is on its disk again: songs can be asked for", "data", data)
	}
}
