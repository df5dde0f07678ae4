package jetstream

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"conga/actors/eventlog/natstest"
)

func openSongs(t testing.TB, cfg Config) *Songs {
	t.Helper()
	s, err := OpenSongs(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func sumOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// What one server puts there, another gets, on as many servers of NATS as there are; what breaks off is not there; whatever the
// log does, and after any server of NATS has died.
func TestSongs(t *testing.T) {
	t.Parallel()
	servers := natstest.Start(t, 3)
	cfg := Config{URL: servers.URL(), Radio: radio()}
	here, there := openSongs(t, cfg), openSongs(t, cfg)
	ctx := t.Context()
	if _, err := there.Mark(ctx); !errors.Is(err, ErrNoSongs) {
		t.Errorf("before there is a store: %v", err)
	}
	if _, err := there.List(ctx); !errors.Is(err, ErrNoSongs) {
		t.Errorf("before there is a store: %v", err)
	}
	for range 2 {
		if err := here.Make(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := there.List(ctx); err != nil || len(all) > 0 {
		t.Errorf("a new store has %v, %v", all, err)
	}
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	sum := sumOf(content)
	broken := io.MultiReader(bytes.NewReader(content[:600_000]), iotest.ErrReader(io.ErrUnexpectedEOF))
	if err := here.Put(ctx, sum, broken); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a file that cannot be read: %v", err)
	}
	if _, err := there.Get(ctx, sum); !errors.Is(err, ErrNoSong) {
		t.Errorf("part of it is there: %v", err)
	}
	before, err := there.Mark(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it is the same
		if err := here.Put(ctx, sum, bytes.NewReader(content)); err != nil {
			t.Fatal(err)
		}
	}
	after, err := there.Mark(ctx)
	if err != nil || after == before {
		t.Errorf("the mark was %d and is %d, %v", before, after, err)
	}
	all, err := there.List(ctx)
	if err != nil || len(all) != 1 || all[0].Sum != sum || all[0].Bytes != int64(len(content)) || all[0].Added.IsZero() {
		t.Errorf("it lists %v, %v", all, err)
	}
	stream := here.stream()
	servers.Whole(stream)
	servers.Leader(stream).Kill()
	var got []byte
	err = here.store.ask(func(within context.Context) error {
		body, err := there.Get(within, sum)
		if err != nil {
			return err
		}
		defer body.Close()
		got, err = io.ReadAll(body)
		return err
	})
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("it gets %d bytes, %v", len(got), err)
	}
	if err := here.store.ask(func(within context.Context) error { return here.Remove(within, sum) }); err != nil {
		t.Error(err)
	}
	if err := here.Remove(ctx, strings.Repeat("0", 64)); err != nil {
		t.Errorf("remove what is not there: %v", err)
	}
	if _, err := there.Get(ctx, sum); !errors.Is(err, ErrNoSong) {
		t.Errorf("it is still there: %v", err)
	}
	if removed, err := there.Mark(ctx); err != nil || removed == after {
		t.Errorf("after it was removed the mark is %v, as before, %v", removed, err)
	}
}

// What somebody has done to an object is said as what it is, soon, and the object can be put anew.
func TestSongs_Hostile(t *testing.T) {
	t.Parallel()
	servers := natstest.Start(t, 1)
	s := openSongs(t, Config{URL: servers.URL(), Radio: radio()})
	s.silence = time.Second
	ctx := t.Context()
	if err := s.Make(ctx); err != nil {
		t.Fatal(err)
	}
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	sum := sumOf(content)
	bucket, err := s.find(ctx)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := s.store.js.Stream(ctx, s.stream())
	if err != nil {
		t.Fatal(err)
	}
	read := func() error {
		within, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		body, err := s.Get(within, sum)
		if err != nil {
			return err
		}
		defer body.Close()
		got, err := io.ReadAll(body)
		if err == nil && !bytes.Equal(got, content) {
			return fmt.Errorf("it reads %d bytes", len(got))
		}
		return err
	}
	chunks := func() string { // of the object
		info, err := bucket.GetInfo(ctx, sum)
		if err != nil {
			t.Fatal(err)
		}
		return "$O." + s.store.names.stream + ".C." + info.NUID
	}
	for what, c := range map[string]struct {
		do   func() error
		want error
	}{
		"nothing":        {func() error { return nil }, nil},
		"without chunks": {func() error { return stream.Purge(ctx, jetstream.WithPurgeSubject(chunks())) }, ErrBroken},
		"without its first chunks": {func() error {
			return stream.Purge(ctx, jetstream.WithPurgeSubject(chunks()), jetstream.WithPurgeKeep(2))
		}, ErrBroken},
		"with one more chunk": {func() error {
			_, err := s.store.js.Publish(ctx, chunks(), []byte("more"))
			return err
		}, ErrBroken},
		"deleted": {func() error { return bucket.Delete(ctx, sum) }, ErrNoSong},
		"nonsense": {func() error {
			meta := "$O." + s.store.names.stream + ".M." + base64.URLEncoding.EncodeToString([]byte(sum))
			_, err := s.store.js.Publish(ctx, meta, []byte("no JSON"))
			return err
		}, ErrBroken},
	} {
		if err := s.Remove(ctx, sum); err != nil {
			t.Fatal(err)
		}
		if err := s.Put(ctx, sum, bytes.NewReader(content)); err != nil {
			t.Fatalf("%s: put: %v", what, err)
		}
		if err := c.do(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if err := read(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := s.Remove(ctx, sum); err != nil {
		t.Fatal(err)
	}
	if _, err := bucket.AddLink(ctx, sum, &jetstream.ObjectInfo{Bucket: s.store.names.stream, ObjectMeta: jetstream.ObjectMeta{Name: sum}, NUID: "x"}); err != nil {
		t.Fatal(err)
	}
	if all, err := s.List(ctx); err != nil || len(all) > 0 {
		t.Errorf("it lists a link: %v, %v", all, err)
	}
	if err := s.Put(ctx, sum, bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	if err := read(); err != nil {
		t.Errorf("in place of a link: %v", err)
	}
}

// A store without room says what to do, and songs can be removed from it: that is how the log gets room.
func TestSongs_Full(t *testing.T) {
	t.Parallel()
	servers := natstest.StartWith(t, 1, "8MB")
	s := openSongs(t, Config{URL: servers.URL(), Radio: radio()})
	ctx := t.Context()
	if err := s.Make(ctx); err != nil {
		t.Fatal(err)
	}
	var put []string
	for i := range 20 {
		content := bytes.Repeat([]byte{byte(i)}, 1<<20)
		err := s.Put(ctx, sumOf(content), bytes.NewReader(content))
		if errors.Is(err, ErrSongsFull) && strings.Contains(err.Error(), "give JetStream more room, or share fewer with --share-max") {
			break
		}
		if err != nil || i == 19 {
			t.Fatalf("song %d: %v", i, err)
		}
		put = append(put, sumOf(content))
	}
	if err := s.Remove(ctx, put[len(put)-1]); err != nil {
		t.Fatal(err)
	}
	small := []byte("a small one")
	if err := s.Put(ctx, sumOf(small), bytes.NewReader(small)); err != nil {
		t.Errorf("after one of %d was removed: %v", len(put), err)
	}
}
