package jetstream

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Songs are files that the servers of a radio share: the object store CONGA_NAME, in which each object is called by the SHA-256 of
// its content. An object appears whole. The store has a connection of its own, so that the log need not wait behind it.
type Songs struct {
	store   *Store
	silence time.Duration
}

// Song is an object.
type Song struct {
	Sum   string // its name
	Bytes int64
	Added time.Time
}

// Mark tells two states of a store apart: it changes whenever an object is added or removed. The zero value is that of no store.
type Mark struct {
	Last, Messages uint64
	Made           int64 // when the store was
}

var (
	// ErrNoSongs: no server of the radio has shared any song yet.
	ErrNoSongs = errors.New("the servers of this radio share no songs")
	// ErrNoSong: the store does not have it.
	ErrNoSong = errors.New("the song is not in the store")
	// ErrBroken: what the store has of an object is not what was put there.
	ErrBroken = errors.New("the store has only a damaged copy")
	// ErrSongsFull wraps why nothing can be added.
	ErrSongsFull = errors.New("no room for songs")
	// ErrSilent: no more of an object came.
	ErrSilent = errors.New("NATS has stopped sending it")
)

const (
	// listPatience is how long a list of many thousand objects may take.
	listPatience = time.Minute
	// silence is how long nothing of an object may come. To notice that its server has died and to ask another, the library
	// needs half of it.
	silence = 30 * time.Second
	// mostBytes is the largest size that is believed: sums of some million do not overflow.
	mostBytes = 1 << 40
)

// OpenSongs connects to the servers, unless ctx ends; cfg.On is not used.
func OpenSongs(ctx context.Context, cfg Config) (*Songs, error) {
	cfg.On = nil
	store, err := dial(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &Songs{store, silence}, nil
}

// Close ends the connection.
func (s *Songs) Close() error { return s.store.Close() }

// find finds the store. Nothing remembers it: it may be made or removed at any time.
func (s *Songs) find(ctx context.Context) (jetstream.ObjectStore, error) {
	bucket, err := s.store.js.ObjectStore(ctx, s.store.names.stream)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, ErrNoSongs
	}
	return bucket, err
}

// Make makes the store if there is none, on as many servers as the log.
func (s *Songs) Make(ctx context.Context) error {
	config := jetstream.ObjectStoreConfig{
		Bucket: s.store.names.stream, Description: "songs of the radio " + s.store.cfg.Radio + " of conga", Storage: jetstream.FileStorage, Replicas: replicas,
		Metadata: map[string]string{formatKey: format},
	}
	_, err := s.find(ctx)
	if errors.Is(err, ErrNoSongs) {
		_, err = s.store.js.CreateObjectStore(ctx, config)
		if isCode(err, codeNoPeers, codeNoCluster) {
			config.Replicas = 1
			_, err = s.store.js.CreateObjectStore(ctx, config)
		}
		if errors.Is(err, jetstream.ErrBucketExists) { // another conga was faster
			err = nil
		}
	}
	return s.explain(err)
}

// stream is the name of the stream that has the objects.
func (s *Songs) stream() string { return "OBJ_" + s.store.names.stream }

// Mark returns the store's mark.
func (s *Songs) Mark(ctx context.Context) (Mark, error) {
	stream, err := s.store.js.Stream(ctx, s.stream())
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return Mark{}, ErrNoSongs
	}
	if err != nil {
		return Mark{}, s.explain(err)
	}
	info := stream.CachedInfo()
	return Mark{Last: info.State.LastSeq, Messages: info.State.Msgs, Made: info.Created.UnixNano()}, nil
}

// List returns all objects.
func (s *Songs) List(ctx context.Context) (all []Song, err error) {
	ctx, cancel := context.WithTimeout(ctx, listPatience)
	defer cancel()
	bucket, err := s.find(ctx)
	if err != nil {
		return nil, s.explain(err)
	}
	objects, err := bucket.List(ctx)
	if err != nil && !errors.Is(err, jetstream.ErrNoObjectsFound) {
		return nil, s.explain(err)
	}
	for _, o := range objects {
		if o.Opts != nil && o.Opts.Link != nil {
			continue // conga makes none, and the library would follow one that leads to itself
		}
		all = append(all, Song{Sum: o.Name, Bytes: int64(min(o.Size, mostBytes)), Added: o.ModTime})
	}
	return all, nil
}

// Put adds an object with what body has. If body fails, nothing is added.
func (s *Songs) Put(ctx context.Context, sum string, body io.Reader) error {
	bucket, err := s.find(ctx)
	if err == nil {
		_, err = bucket.Put(ctx, jetstream.ObjectMeta{Name: sum}, body)
	}
	return s.explain(err)
}

// Get reads an object, at most until ctx ends. The caller closes it, and checks what it has read.
func (s *Songs) Get(ctx context.Context, sum string) (io.ReadCloser, error) {
	bucket, err := s.find(ctx)
	if err != nil {
		return nil, s.explain(err)
	}
	object, err := bucket.Get(eachRead{ctx, s.silence}, sum)
	switch {
	case errors.Is(err, jetstream.ErrObjectNotFound):
		return nil, ErrNoSong
	case errors.Is(err, jetstream.ErrBadObjectMeta):
		return nil, ErrBroken
	case err != nil:
		return nil, s.explain(err)
	}
	return &reading{ObjectResult: object}, nil
}

// eachRead gives each read of an object its own time. The library asks for the deadline BEFORE each, and cannot be interrupted.
type eachRead struct {
	context.Context
	lasts time.Duration
}

// Deadline is never later than that of the whole.
func (e eachRead) Deadline() (time.Time, bool) {
	next := time.Now().Add(e.lasts)
	if end, is := e.Context.Deadline(); is && end.Before(next) {
		next = end
	}
	return next, true
}

// reading is an object that is read.
type reading struct {
	jetstream.ObjectResult
	came bool // some of it
}

// Read says in its errors what that means for the object.
func (r *reading) Read(p []byte) (int, error) {
	n, err := r.ObjectResult.Read(p)
	r.came = r.came || n > 0
	silent := errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, nats.ErrTimeout)
	switch {
	case errors.Is(err, jetstream.ErrDigestMismatch), errors.Is(err, jetstream.ErrInvalidDigestFormat), silent && !r.came:
		return n, ErrBroken
	case silent:
		return n, ErrSilent
	}
	return n, err
}

// Remove removes an object. It is purged: to delete it, the library would first write that it is gone, which a full server refuses.
func (s *Songs) Remove(ctx context.Context, sum string) error {
	bucket, err := s.find(ctx)
	if err != nil {
		return s.explain(err)
	}
	object, err := bucket.GetInfo(ctx, sum)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return nil
	}
	if err != nil && !errors.Is(err, jetstream.ErrBadObjectMeta) {
		return s.explain(err)
	}
	stream, err := s.store.js.Stream(ctx, s.stream())
	if err != nil {
		return s.explain(err)
	}
	subjects := []string{"$O." + s.store.names.stream + ".M." + base64.URLEncoding.EncodeToString([]byte(sum))} // first, so that nobody finds half of it
	if object != nil && isToken(object.NUID) {
		subjects = append(subjects, "$O."+s.store.names.stream+".C."+object.NUID)
	}
	for _, subject := range subjects {
		if err := stream.Purge(ctx, jetstream.WithPurgeSubject(subject)); err != nil {
			return s.explain(err)
		}
	}
	return nil
}

// isToken says whether the text is one part of a subject, and no pattern.
func isToken(text string) bool { return text != "" && !strings.ContainsAny(text, ".*> \t\r\n") }

// explain is Store.explain, whose words are about the log where NATS is full.
func (s *Songs) explain(err error) error {
	switch {
	case err == nil, errors.Is(err, ErrNoSongs):
		return err
	case isCode(err, codeNoResources, codeNoMemory, codeNoStorage, codeStreamFull):
		return fmt.Errorf("%w: NATS at %s takes no more songs: give JetStream more room, or share fewer with --share-max: %w", ErrSongsFull, s.store.where(), err)
	}
	return s.store.explain(err)
}
