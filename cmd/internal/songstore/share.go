package songstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"time"

	"golang.org/x/time/rate"

	"conga/actors/catalog/library"
	"conga/actors/catalog/stock"
)

const (
	// shareEvery is how often a leader looks for new songs, listEvery how often it looks whether the store still has all.
	shareEvery, listEvery = 2 * time.Second, 10 * time.Minute
	// shareAgain is the wait after a failure.
	shareAgain = 10 * time.Second
	// burst is how much is sent at once, in bytes.
	burst = 128 << 10
)

// ShareConfig configures Share.
type ShareConfig struct {
	Store Store
	Most  int64 // bytes of all objects
	Rate  int64 // bytes a second
	// Library says what the songs are, First which of them are needed first, and Open opens one.
	Library func(context.Context) (library.State, error)
	First   func() []string
	Open    func(name string) (io.ReadCloser, error)
	Logger  *slog.Logger
}

// Share puts the songs into the store until ctx ends, one after the other, at a speed that leaves the line to the music.
func Share(ctx context.Context, cfg ShareConfig) {
	s := &sharer{ShareConfig: cfg, limit: rate.NewLimiter(rate.Limit(cfg.Rate), burst)}
	for {
		wait := shareEvery
		if err := s.look(ctx); err != nil && ctx.Err() == nil {
			wait = shareAgain
			if s.trouble.isNew(err) {
				cfg.Logger.Warn("songs cannot be shared now; the music plays on", "reason", err)
			}
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

type sharer struct {
	ShareConfig
	limit   *rate.Limiter
	all     library.State // that is shared
	at      time.Time     // zero: not all is
	trouble wording
	noRoom  int
}

// look shares what is new.
func (s *sharer) look(ctx context.Context) error {
	all, err := s.Library(ctx)
	if err != nil || !s.at.IsZero() && time.Since(s.at) < listEvery && all.SameSongs(s.all) {
		return nil // the catalog is busy
	}
	s.at = time.Time{}
	if err := s.Store.Make(ctx); err != nil {
		return err
	}
	objects, err := list(ctx, s.Store)
	if err != nil {
		return err
	}
	changes := stock.Share(all.Songs.All(), objects, s.Most, s.First())
	for _, sum := range changes.Remove {
		if err := s.Store.Remove(ctx, sum); err != nil {
			return err
		}
	}
	if changes.NoRoom != s.noRoom {
		if s.noRoom = changes.NoRoom; s.noRoom > 0 {
			s.Logger.Warn("not all songs have room in the store; servers that stand by need copies of the others, or --share-max allows more", "songs", s.noRoom)
		}
	}
	put, left := 0, 0
	for _, song := range changes.Put {
		switch err := s.put(ctx, song); {
		case errors.Is(err, errUnreadable): // it may be gone or have changed just now
			left++
		case err != nil:
			return err
		default:
			put++
		}
	}
	s.trouble.isNew(nil)
	if put > 0 {
		s.Logger.Info("the store has the songs now, from which servers that stand by fetch what they lack", "added", put, "songs", all.Songs.Len()-left-s.noRoom)
	}
	s.all, s.at = all, time.Now()
	return nil
}

// errUnreadable wraps why the file of a song is not what the catalog says of it.
var errUnreadable = errors.New("the song cannot be read")

func (s *sharer) put(ctx context.Context, song *library.Song) error {
	f, err := s.Open(song.Name)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnreadable, err)
	}
	defer func() { _ = f.Close() }() // nothing was written
	return s.Store.Put(ctx, song.Sum, &checked{ctx: ctx, from: f, limit: s.limit, left: song.FileBytes, sum: song.Sum, hash: sha256.New()})
}

// checked reads a song not faster than the limit, and fails in the end if it is another one.
type checked struct {
	ctx   context.Context
	from  io.Reader
	limit *rate.Limiter
	left  int64
	sum   string
	hash  hash.Hash
}

// Read fails instead of ending if something else was read.
func (c *checked) Read(p []byte) (int, error) {
	n, err := c.from.Read(p[:min(len(p), burst)])
	_, _ = c.hash.Write(p[:n]) // it cannot fail
	c.left -= int64(n)
	end := errors.Is(err, io.EOF)
	switch {
	case c.left < 0, end && (c.left > 0 || hex.EncodeToString(c.hash.Sum(nil)) != c.sum):
		return 0, fmt.Errorf("%w: it has changed", errUnreadable)
	case err != nil && !end:
		return 0, fmt.Errorf("%w: %w", errUnreadable, err)
	case n > 0:
		if err := c.limit.WaitN(c.ctx, n); err != nil {
			return 0, err
		}
	}
	return n, err
}
