package jetstream

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

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
	if err != nil || after <= before {
		t.Errorf("the mark was %d and is %d, %v", before, after, err)
	}
	all, err := there.List(ctx)
	if err != nil || len(all) != 1 || all[0].Sum != sum || all[0].Bytes != int64(len(content)) || all[0].Added.IsZero() {
		t.Errorf("it lists %v, %v", all, err)
	}
	stream := "OBJ_" + here.store.names.stream
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
}
