package jetstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"conga/actors/eventlog"
)

// Songs are files that the servers of a radio share: the object store CONGA_NAME, in which each object is called by the SHA-256 of
// its content. An object appears whole. The store has a connection of its own, so that the log need not wait behind it.
type Songs struct{ store *Store }

// Song is an object.
type Song struct {
	Sum   string // its name
	Bytes int64
	Added time.Time
}

var (
	// ErrNoSongs: no server of the radio has shared any song yet.
	ErrNoSongs = errors.New("the servers of this radio share no songs")
	// ErrNoSong: the store does not have it.
	ErrNoSong = errors.New("the song is not in the store")
)

// listPatience is how long a list of many thousand objects may take.
const listPatience = time.Minute

// OpenSongs connects to the servers, unless ctx ends; cfg.On is not used.
func OpenSongs(ctx context.Context, cfg Config) (*Songs, error) {
	cfg.On = nil
	store, err := dial(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &Songs{store}, nil
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

// Mark changes whenever an object is added or removed.
func (s *Songs) Mark(ctx context.Context) (uint64, error) {
	stream, err := s.store.js.Stream(ctx, "OBJ_"+s.store.names.stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return 0, ErrNoSongs
	}
	if err != nil {
		return 0, s.explain(err)
	}
	return stream.CachedInfo().State.LastSeq, nil
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
		all = append(all, Song{Sum: o.Name, Bytes: int64(min(o.Size, 1<<62)), Added: o.ModTime})
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
	object, err := bucket.Get(ctx, sum)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return nil, ErrNoSong
	}
	if err != nil {
		return nil, s.explain(err)
	}
	return object, nil
}

// Remove removes an object.
func (s *Songs) Remove(ctx context.Context, sum string) error {
	bucket, err := s.find(ctx)
	if err == nil {
		err = bucket.Delete(ctx, sum)
	}
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return nil
	}
	return s.explain(err)
}

// explain is Store.explain, whose words are about the log where NATS is full.
func (s *Songs) explain(err error) error {
	switch {
	case err == nil, errors.Is(err, ErrNoSongs):
		return err
	case isCode(err, codeNoResources, codeNoMemory, codeNoStorage, codeStreamFull):
		return fmt.Errorf("%w: NATS at %s takes no more songs: give JetStream more room, or share fewer with --share-max: %w", eventlog.ErrFull, s.store.where(), err)
	}
	return s.store.explain(err)
}
