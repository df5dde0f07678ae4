package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"conga/actors/eventlog"
	"conga/actors/eventlog/jetstream"
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
	// NoDisk is what people are told who ask for a song while the disk is full or away; nil: the usual.
	NoDisk error
}

// errNoNATS is what people are told while NATS does not keep what they ask for.
var errNoNATS = errors.New("the servers that keep this radio's log (NATS) cannot be reached: the music plays on, but no song can be asked for until they are back")

// OpenData opens the log and the key in dir, or makes them, and remembers the songs folder.
func OpenData(dir, songs string, logger *slog.Logger) (Data, error) {
	if err := forServer(dir, logger); err != nil {
		return Data{}, err
	}
	store, err := sqlite.Open(dir)
	if err != nil {
		return Data{}, err
	}
	return openData(dir, songs, store, eventlog.SteadyConfig{
		Reserve: sqlite.NewReserve(dir, reserveBytes),
		Tell:    func(state eventlog.DiskState, why error) { tellDisk(logger, dir, state, why) },
	}, logger)
}

// SharedKey is the key in dir, or a new one, for a server whose log is elsewhere.
func SharedKey(dir string, logger *slog.Logger) (ed25519.PrivateKey, error) {
	if err := forServer(dir, logger); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("data folder: %w: choose another with --data", err)
	}
	return keys.Signing(dir)
}

// OpenShared is OpenData for a log on servers of NATS; dir has the key and what else is only this server's. fence, if it is not
// nil, is around the store. lost is called if another server has written to the log: this one has to end then. ctx bounds the opening.
func OpenShared(ctx context.Context, log jetstream.Config, dir, songs string, fence func(*jetstream.Store) eventlog.Store, lost func(error), logger *slog.Logger) (Data, error) {
	if _, err := SharedKey(dir, logger); err != nil {
		return Data{}, err
	}
	store, err := jetstream.Open(ctx, log)
	if err != nil {
		return Data{}, err
	}
	tellReplicas(logger, log, store.Replicas())
	var fenced eventlog.Store = store
	if fence != nil {
		fenced = fence(store)
	}
	data, err := openData(dir, songs, fenced, eventlog.SteadyConfig{
		Lost: lost,
		Tell: func(state eventlog.DiskState, why error) { tellNATS(logger, log, state, why) },
	}, logger)
	if err != nil {
		return Data{}, err
	}
	data.Disk, data.NoDisk = distant{data.Disk, store}, errNoNATS
	return data, nil
}

// distant is a disk that is away as soon as no server is there, and not only when one has not answered for long.
type distant struct {
	transport.Disk
	store *jetstream.Store
}

// Full is described at Disk.
func (d distant) Full() bool { return !d.store.Connected() || d.Disk.Full() }

// forServer refuses a listener's folder.
func forServer(dir string, logger *slog.Logger) error {
	if _, err := os.Stat(filepath.Join(dir, keys.IdentityFile)); err == nil {
		return fmt.Errorf("%s is a listener's data folder: choose another with --data", dir)
	}
	warnHomeless(dir, logger)
	return nil
}

// openData reads the key, and keeps the log steady. It owns store.
func openData(dir, songs string, store eventlog.Store, cfg eventlog.SteadyConfig, logger *slog.Logger) (Data, error) {
	key, err := keys.Signing(dir)
	if err != nil {
		return Data{}, errors.Join(err, store.Close())
	}
	watched, tell := monitor.NewDisk(), cfg.Tell
	cfg.Wrote = watched.Wrote
	cfg.Tell = func(state eventlog.DiskState, why error) {
		watched.Told(state)
		tell(state, why)
	}
	cfg.Look = func() {
		if err := keys.KeepSigning(dir, key); err != nil {
			logger.Error("the server's key is gone from its folder and cannot be written again: after a restart listeners will refuse this server", "reason", err)
		}
	}
	steady, err := eventlog.OpenSteady(store, cfg)
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

// tellReplicas says on how many servers the log is.
func tellReplicas(logger *slog.Logger, log jetstream.Config, n int) {
	if n == 1 {
		logger.Warn("only one server of NATS keeps the log: what it has acknowledged is gone with its disk. With three of them in a cluster, the next start makes three copies", "log", log.Where(), "radio", log.Radio)
		return
	}
	logger.Info("servers of NATS keep the log", "copies", n, "log", log.Where(), "radio", log.Radio)
}

// tellNATS is tellDisk for a log on servers.
func tellNATS(logger *slog.Logger, log jetstream.Config, state eventlog.DiskState, why error) {
	if state == eventlog.DiskFine {
		logger.Info("NATS has the whole log again: songs can be asked for", "log", log.Where())
		return
	}
	logger.Error("NATS does not keep the log: look at its servers. The music plays on and events wait in memory, but nobody can ask for songs", "log", log.Where(), "reason", why)
}

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
