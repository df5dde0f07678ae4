package songstore

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"maps"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"conga/actors/catalog/library"
	"conga/actors/catalog/stock"
	"conga/actors/eventlog/jetstream"
)

const (
	// shareEvery is how often a leader looks whether the songs or the store have changed, and unreadEvery how often it tries again
	// to read songs that it could not.
	shareEvery, unreadEvery = 2 * time.Second, 10 * time.Minute
	// shareAgain is the wait after a failure, and fullAgain after the store was full.
	shareAgain, fullAgain = 10 * time.Second, time.Hour
	// planEvery is how long songs are put before it is asked again which are needed first.
	planEvery = 30 * time.Second
	// listRarely is how much longer than a list the time to the next one is, at least.
	listRarely = 20
	// forLog is how much of a full store is given back, in bytes: it is on the servers that keep the log, which needs room, too.
	forLog = 64 << 20
	// burst is how much is sent at once, in bytes.
	burst = 128 << 10
)

// ShareConfig configures Share.
type ShareConfig struct {
	Store Store
	Most  int64 // bytes of all objects
	Rate  int64 // bytes a second
	// Library says what the songs are, First which of them are needed first, and Open opens what is played of one.
	Library func(context.Context) (library.State, error)
	First   func() []string
	Open    func(song *library.Song) (io.ReadCloser, error)
	Logger  *slog.Logger
}

// Share puts the songs into the store until ctx ends, one after the other, at a speed that leaves the line to the music. It puts
// again what somebody has removed.
func Share(ctx context.Context, cfg ShareConfig) {
	newSharer(cfg).run(ctx)
}

func newSharer(cfg ShareConfig) *sharer {
	return &sharer{ShareConfig: cfg, limit: rate.NewLimiter(rate.Limit(cfg.Rate), burst), forLog: forLog}
}

func (s *sharer) run(ctx context.Context) {
	for {
		wait := shareEvery
		more, err := s.look(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			wait = shareAgain
			if s.trouble.isNew(err) {
				s.Logger.Warn("songs cannot be shared now; the music plays on", "reason", err)
			}
		case more:
			wait = 0
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
	limit  *rate.Limiter
	forLog int64

	objects map[string]stock.Object // those that were listed, with what was put and removed since
	mark    jetstream.Mark          // when they were listed
	lists   time.Time               // no list before then

	all     library.State // that is shared
	at      time.Time     // zero: not all is
	added   int
	trouble wording
	noRoom  int
	room    int64     // bytes that a full store has shown to have
	full    time.Time // until then
}

// most is how many bytes there may be now.
func (s *sharer) most() int64 {
	if time.Now().Before(s.full) {
		return min(s.Most, s.room)
	}
	return s.Most
}

// look shares what is new, and says whether there is more.
func (s *sharer) look(ctx context.Context) (more bool, err error) {
	all, err := s.Library(ctx)
	if err != nil {
		return false, nil // the catalog is busy
	}
	changed, err := s.list(ctx)
	if err != nil || !changed && !s.at.IsZero() && time.Since(s.at) < unreadEvery && all.SameSongs(s.all) {
		return false, err
	}
	s.at = time.Time{}
	changes := stock.Share(all.Songs.All(), slices.Collect(maps.Values(s.objects)), s.most(), s.First())
	for _, sum := range changes.Remove {
		if err := s.remove(ctx, sum); err != nil {
			return false, err
		}
	}
	s.tellRoom(changes.NoRoom)
	left, began := 0, time.Now()
	for _, song := range changes.Put {
		if time.Since(began) > planEvery {
			return true, nil
		}
		switch err := s.put(ctx, song); {
		case errors.Is(err, errUnreadable): // it may be gone or have changed just now
			left++
		case errors.Is(err, jetstream.ErrSongsFull):
			return false, s.giveBack(ctx, err)
		case err != nil:
			return false, err
		}
	}
	s.trouble.isNew(nil)
	if s.added > 0 {
		s.Logger.Info("the store has the songs now, from which servers that stand by fetch what they lack", "added", s.added, "songs", all.Songs.Len()-left-s.noRoom)
		s.added = 0
	}
	s.all, s.at = all, time.Now()
	return false, nil
}

// list lists the store if it has changed, a long one less often. Until then what this server has changed itself is enough.
func (s *sharer) list(ctx context.Context) (changed bool, err error) {
	mark, err := s.Store.Mark(ctx)
	if errors.Is(err, jetstream.ErrNoSongs) {
		s.lists = time.Time{} // it is another one
		if err = s.Store.Make(ctx); err == nil {
			mark, err = s.Store.Mark(ctx)
		}
	}
	if err != nil || s.objects != nil && (mark == s.mark || time.Now().Before(s.lists)) {
		return false, err
	}
	began := time.Now()
	objects, err := list(ctx, s.Store)
	if err != nil {
		return false, err
	}
	s.mark, s.lists = mark, time.Now().Add(listRarely*time.Since(began))
	s.objects = make(map[string]stock.Object, len(objects))
	for _, o := range objects {
		s.objects[o.Sum] = o
	}
	return true, nil
}

func (s *sharer) tellRoom(noRoom int) {
	if noRoom == s.noRoom {
		return
	}
	if s.noRoom = noRoom; noRoom > 0 && !time.Now().Before(s.full) {
		s.Logger.Warn("not all songs have room in the store; servers that stand by need copies of the others, or --share-max allows more", "songs", noRoom)
	}
}

func (s *sharer) remove(ctx context.Context, sum string) error {
	err := s.Store.Remove(ctx, sum)
	if err == nil {
		delete(s.objects, sum)
	}
	return err
}

// giveBack removes what was put last, because the servers that keep the log have no room for more. Meanwhile no more is put.
func (s *sharer) giveBack(ctx context.Context, why error) error {
	newest := slices.SortedFunc(maps.Values(s.objects), func(a, b stock.Object) int {
		return cmp.Or(cmp.Compare(b.AddedUs, a.AddedUs), cmp.Compare(a.Sum, b.Sum))
	})
	left, removed := int64(0), 0
	for _, o := range newest {
		left += o.Bytes
	}
	for given := int64(0); removed < len(newest) && given < s.forLog; removed++ {
		o := newest[removed]
		if err := s.remove(ctx, o.Sum); err != nil {
			return errors.Join(why, err)
		}
		given, left = given+o.Bytes, left-o.Bytes
	}
	s.room, s.full, s.added = left, time.Now().Add(fullAgain), 0
	s.Logger.Warn("NATS is full: some songs were removed from it again, so that the log has room; servers that stand by need copies of those that are not there",
		"removed", removed, "songs", len(s.objects), "reason", why)
	return nil
}

// errUnreadable wraps why what is played of a song is not what the catalog says of it.
var errUnreadable = errors.New("the song cannot be read")

func (s *sharer) put(ctx context.Context, song *library.Song) error {
	f, err := s.Open(song)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnreadable, err)
	}
	defer func() { _ = f.Close() }() // nothing was written
	content, _ := stock.ContentOf(song)
	from := &checked{ctx: ctx, from: f, limit: s.limit, content: content, hash: sha256.New()}
	if err := s.Store.Put(ctx, content.Sum, from); err != nil {
		return err
	}
	s.objects[content.Sum] = stock.Object{Sum: content.Sum, Bytes: from.bytes, AddedUs: time.Now().UnixMicro()}
	s.added++
	return nil
}

// checked reads a song not faster than the limit, and fails in the end if it is another one.
type checked struct {
	ctx     context.Context
	from    io.Reader
	limit   *rate.Limiter
	content stock.Content
	bytes   int64
	hash    hash.Hash
}

// Read fails instead of ending if something else was read.
func (c *checked) Read(p []byte) (int, error) {
	n, err := c.from.Read(p[:min(len(p), burst)])
	_, _ = c.hash.Write(p[:n]) // it cannot fail
	c.bytes += int64(n)
	end := errors.Is(err, io.EOF)
	switch {
	case c.bytes > c.content.Most, end && (!c.content.Fits(c.bytes) || hex.EncodeToString(c.hash.Sum(nil)) != c.content.Sum):
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
