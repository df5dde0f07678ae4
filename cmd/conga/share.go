package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"conga/actors/catalog"
	"conga/actors/eventlog/jetstream"
	"conga/cmd/internal/node"
	"conga/cmd/internal/songstore"
)

// songsInNATS, in place of a folder, means the songs that other servers share.
const songsInNATS = "nats"

type shareFlags struct {
	ShareSongs bool  `help:"With --servers: keep the songs on the servers of NATS, too. The server that leads puts them there; the others fetch those that are not in their folders under any name."`
	ShareMax   int64 `default:"20" placeholder:"GB" help:"Size of the songs there, and of those that this server fetches into its --data folder (${default})."`
	ShareRate  int64 `default:"4" placeholder:"MB" help:"How many megabytes a second of songs the server that leads sends at most, so that the music has room on its line (${default})."`
}

func (f shareFlags) validate() error {
	if f.ShareMax < 1 || f.ShareMax > 1<<20 || f.ShareRate < 1 || f.ShareRate > 10_000 {
		return errors.New("--share-max is a number of gigabytes from 1 to 1048576, --share-rate one of megabytes a second from 1 to 10000")
	}
	return nil
}

// shared makes a folder for a server that has no songs of its own.
func (c *serveCmd) shared() error {
	nats := c.Songs == songsInNATS
	c.ShareSongs = c.ShareSongs || nats
	if c.ShareSongs && len(c.All) == 0 {
		return errors.New("--share-songs and --songs nats are for one of several servers: give --log, --radio and --servers, too; a folder called nats is ./nats")
	}
	if !nats {
		return nil
	}
	c.Songs = filepath.Join(c.Data, "songs")
	if err := os.MkdirAll(filepath.Join(c.Songs, catalog.UploadFolder), 0o755); err != nil { // guests bring none into an empty folder
		return fmt.Errorf("data folder: %w: choose another with --data", err)
	}
	return nil
}

// sharing says how the songs are shared.
func (c *serveCmd) sharing(ctx context.Context, log jetstream.Config) node.Sharing {
	if !c.ShareSongs {
		return node.Sharing{}
	}
	return node.Sharing{
		Open: func() (songstore.Store, io.Closer, error) {
			songs, err := jetstream.OpenSongs(ctx, log)
			if err != nil {
				return nil, nil, err // no *jetstream.Songs that is nil
			}
			return songs, songs, nil
		},
		Most: c.ShareMax << 30, Rate: c.ShareRate << 20,
	}
}
