// Package songstore lets the servers of a radio have the same songs: the one that leads puts its songs into a store that all reach,
// and one that stands by finds out which of them it has, by what its files contain, and fetches the others.
package songstore

import (
	"context"
	"io"

	"conga/actors/catalog/stock"
	"conga/actors/eventlog/jetstream"
)

// DumpName is where the dump has a Live.
const DumpName = "songs"

// Store is what the servers share. Its errors are those of jetstream.Songs, which it is.
type Store interface {
	Make(ctx context.Context) error
	Mark(ctx context.Context) (jetstream.Mark, error)
	List(ctx context.Context) ([]jetstream.Song, error)
	Put(ctx context.Context, sum string, body io.Reader) error
	Get(ctx context.Context, sum string) (io.ReadCloser, error)
	Remove(ctx context.Context, sum string) error
}

// list is List for stock.
func list(ctx context.Context, store Store) (objects []stock.Object, err error) {
	songs, err := store.List(ctx)
	for _, song := range songs {
		objects = append(objects, stock.Object{Sum: song.Sum, Bytes: song.Bytes, AddedUs: song.Added.UnixMicro()})
	}
	return objects, err
}

// wording says each problem once, until there is another or none.
type wording struct{ said string }

// isNew says whether the problem was not said before; nil: it is over.
func (w *wording) isNew(err error) bool {
	text := ""
	if err != nil {
		text = err.Error()
	}
	is := text != w.said
	w.said = text
	return is && err != nil
}
