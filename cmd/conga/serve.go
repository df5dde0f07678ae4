package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"conga/actors"
	"conga/actors/catalog"
	"conga/actors/eventlog"
)

// reserveBytes is kept free on the disk for the music: some hours of songs, and of
// goodbyes, each of which costs some pages.
const reserveBytes = 8 << 20

// songsPatience is how long the first look at the songs folder may hold up that the server is ready.
const songsPatience = 2 * time.Second

// whileReading is how much garbage there may be, in percent of what is in use, while a large folder is read for
// the first time: little of that lives on.
const whileReading = 50

type serveCmd struct {
	Songs  string     `default:"songs" placeholder:"DIR" help:"Folder of mp3 files; you may add and remove songs at any time (${default})."`
	Listen listenAddr `default:":7000" placeholder:"HOST:PORT" help:"Port for requests; the next port is for the stream. Port 0 takes a free pair (${default})."`
	HTTP   httpAddr   `default:"127.0.0.1:8000" placeholder:"HOST:PORT" help:"Address of the debug dump and log, or off (${default})."`
	Data   string     `default:"${data}" placeholder:"DIR" help:"Folder of the event log, the queue and the server's key (${default})."`

	KeepLog int64 `default:"64" placeholder:"MB" help:"Size of the event log; older events are folded into the state they led to. 0 keeps all (${default})."`

	tokenFlag
	limitFlags
}

// Help shows examples.
func (serveCmd) Help() string {
	return `When it is ready, it prints one line:

    ready requests=HOST:PORT stream=HOST:PORT http=HOST:PORT

` + examples(
		"conga serve", "play ./songs on ports 7000 and 7001",
		"conga serve --songs ~/Music --listen :9000", "another folder, ports 9000 and 9001",
		"printf 'SONGS\\nPLAY 2\\n' | nc localhost 7000", "ask for a song from anywhere",
	)
}

// Validate refuses what would let in everybody, or nobody.
func (c *serveCmd) Validate() error {
	if c.KeepLog < 0 || c.KeepLog > 1<<20 {
		return errors.New("--keep-log is a number of megabytes, or 0")
	}
	return errors.Join(c.tokenFlag.validate(), c.limitFlags.validate())
}

// Run serves until ctx ends.
func (c *serveCmd) Run(ctx context.Context, io *streams) error {
	if err := songsThere(c.Songs, c.Data); err != nil {
		return err
	}
	store, err := eventlog.OpenSQLite(c.Data)
	if err != nil {
		return err
	}
	key, err := signingKey(c.Data)
	if err != nil {
		return errors.Join(err, store.Close())
	}
	http, err := listenHTTP(string(c.HTTP)) // BEFORE anything plays
	if err != nil {
		return errors.Join(err, store.Close())
	}
	logger := io.play()
	steady, err := eventlog.OpenSteady(store, eventlog.SteadyConfig{
		Dir: c.Data, Reserve: reserveBytes,
		Tell: func(state eventlog.DiskState, why error) { tellDisk(logger, c.Data, state, why) },
		Look: func() {
			if err := keepKey(c.Data, key); err != nil {
				logger.Error("the server's key is gone from its folder and cannot be written again: after a restart listeners will refuse this server", "reason", err)
			}
		},
	})
	if err != nil {
		return errors.Join(err, store.Close(), hangUp(http))
	}
	usual := debug.SetGCPercent(whileReading)
	node, err := startServer(serverOptions{
		songs: c.Songs, listen: string(c.Listen), store: steady, key: key, logger: logger,
		token: c.token(), limits: c.limits(), disk: steady, seedListeners: c.SeedListeners, keepLog: c.KeepLog << 20,
	})
	if err != nil {
		return errors.Join(err, hangUp(http))
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-node.server.SongsKnown():
		case <-ctx.Done():
		}
		debug.SetGCPercent(usual)
	}()
	served := serveHTTP(ctx, http, string(c.HTTP), node.log, node.server.Dump)
	select { // whoever reads "ready" asks for songs at once
	case <-node.server.SongsKnown():
	case <-time.After(songsPatience): // a large folder, or a slow one: the first of its songs are known
	case <-ctx.Done():
	}
	fmt.Fprintf(io.out, "ready requests=%s stream=%s http=%s\n",
		shown(node.requests.Addr()), shown(node.stream.Addr()), shownHTTP(http))
	invite(io.err, node.requests.Addr(), key.Public().(ed25519.PublicKey), c.token())
	err = <-served // it ends with ctx
	return errors.Join(err, node.stop())
}

// songsThere refuses a songs folder that is not there, or cannot be read, unless the log in data knows songs:
// theirs may be mounted later.
func songsThere(songs, data string) error {
	missing := catalog.Check(songs)
	if missing == nil || errors.Is(missing, catalog.ErrNoFolder) {
		return missing
	}
	store, err := eventlog.OpenSQLiteReader(data)
	if err != nil {
		return missing // there is no log, or others say what is wrong with it
	}
	log, err := eventlog.Open(store, time.Now)
	if err != nil {
		return errors.Join(err, store.Close())
	}
	state, err := actors.ServerStateAt(log, log.Last())
	if err = errors.Join(err, log.Close()); err != nil {
		return err
	}
	if state.Catalog.Songs.Len() == 0 {
		return missing
	}
	return nil
}

// tellDisk says how the log's disk does, and what that means for people.
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
