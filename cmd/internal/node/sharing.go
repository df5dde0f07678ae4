package node

import (
	"context"
	"io"
	"time"

	"conga/actors"
	"conga/actors/catalog"
	"conga/actors/catalog/library"
	"conga/cmd/internal/songstore"
)

const (
	// LacksHeader says what a server that stands by lacks, when it sends somebody to the one that leads; HasHeader that it has all.
	LacksHeader = "Conga-Lacks"
	HasHeader   = "Conga-Has"
	// songsPatience is how long a server that has only just started waits until it knows which songs it has.
	songsPatience = 2 * time.Second
	// firstNamed is how many songs of the queue are shared and fetched before others.
	firstNamed = 100
)

// Sharing says how the servers of a radio share their songs; the zero value: they do not.
type Sharing struct {
	Open func() (songstore.Store, io.Closer, error)
	Most int64 // bytes, in the store and on this machine
	Rate int64 // bytes a second that the leader sends
}

// hold begins to compare the radio's songs with this server's, and to fetch what it lacks. What it returns ends that.
func (m *member) hold(ctx context.Context) (end func()) {
	cfg := songstore.HoldConfig{Songs: m.Songs, Converted: m.Converted, Data: m.Dir, Logger: m.Logger}
	var closers []io.Closer
	if m.Sharing.Open != nil {
		fetched, err := catalog.OpenFetched(songstore.FetchedFolder(m.Dir), m.Sharing.Most)
		if err == nil {
			closers = append(closers, fetched)
			cfg.Fetched = fetched
			var connection io.Closer
			if m.store, connection, err = m.Sharing.Open(); err == nil {
				closers = append(closers, connection)
				cfg.Store = m.store
			}
		}
		if err != nil {
			m.Logger.Error("this server shares no songs", "reason", err)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	holder, ended := songstore.Hold(ctx, cfg)
	m.holder = holder
	return func() {
		cancel()
		<-ended
		m.shares.Wait()
		for _, c := range closers {
			if err := c.Close(); err != nil {
				m.Logger.Warn("shared songs", "reason", err)
			}
		}
	}
}

// share puts the songs of the server that leads where the others find them, until ctx ends.
func (m *member) share(ctx context.Context, server *Server, elsewhere *catalog.Elsewhere) {
	if m.store == nil {
		return
	}
	open := actors.SongsIn(m.Songs, m.Converted, elsewhere)
	songstore.Share(ctx, songstore.ShareConfig{
		Store: m.store, Most: m.Sharing.Most, Rate: m.Sharing.Rate, Library: server.Server.Library, Logger: m.Logger,
		First: func() []string {
			dump, err := server.Server.Dump(ctx)
			if state, is := dump.State.(actors.ServerState); is && err == nil {
				return soon(state)
			}
			return nil
		},
		Open: func(song *library.Song) (io.ReadCloser, error) { return open(song.Name, song.MadeOf, song.MadeSum) },
	})
}

// soon are the songs that are on and come next.
func soon(state actors.ServerState) (names []string) {
	if song := state.Pacer.Song; song != nil {
		names = append(names, song.Name)
	}
	for _, request := range state.Scheduler.Queue {
		if len(names) == firstNamed {
			break
		}
		names = append(names, request.Song)
	}
	return names
}
