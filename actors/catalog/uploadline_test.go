package catalog

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"conga/actors/catalog/library"
	"conga/messages"
)

// queued is an upload that a test has begun.
type queued struct {
	id    string
	leave context.CancelFunc
	err   error
	done  bool
}

// brought begins an upload and waits until it can go no further.
func brought(ctx context.Context, u *Uploads, id string, content []byte) *queued {
	q := &queued{id: id}
	ctx, q.leave = context.WithCancel(ctx)
	go func() {
		_, q.err = u.Take(ctx, Upload{ID: id, Name: id + ".mp3", Bytes: int64(len(content))}, bytes.NewReader(content))
		q.done = true
	}()
	synctest.Wait()
	return q
}

// Uploads are checked in the order in which they have come whole. Each can be told its place; who leaves holds up nobody.
func TestUploads_Line(t *testing.T) {
	contents := [][]byte{music(t, 0), music(t, 1), music(t, 2), music(t, 3)}
	synctest.Test(t, func(t *testing.T) {
		b, next := &brings{}, make(chan struct{})
		u := uploadsIn(t.TempDir(), b, func(c *UploadsConfig) {
			c.Bring = func(ctx context.Context, cmd *messages.BringSong) error { <-next; return b.bring(ctx, cmd) }
		})
		amy := brought(t.Context(), u, "amy", contents[0])
		bob := brought(t.Context(), u, "bob", contents[1])
		cem := brought(t.Context(), u, "cem", contents[2])
		dora := brought(t.Context(), u, "dora", contents[3])
		places := func(what string, want ...int) {
			t.Helper()
			for i, q := range []*queued{amy, bob, cem, dora} {
				if got := u.Place(q.id); got != want[i] {
					t.Errorf("%s: %s has place %d, want %d", what, q.id, got, want[i])
				}
			}
		}
		places("all are there", 1, 2, 3, 4)
		if u.Place("") != 0 || u.Place("eve") != 0 {
			t.Error("who is not in the line has a place")
		}
		cem.leave()
		synctest.Wait()
		places("cem has gone", 1, 2, 0, 3)
		if !cem.done || fault(t, cem.err) != messages.UploadCut {
			t.Errorf("cem: %v", cem.err)
		}
		next <- struct{}{}
		synctest.Wait()
		places("amy's is checked", 0, 1, 0, 2)
		next <- struct{}{}
		next <- struct{}{}
		synctest.Wait()
		places("all are", 0, 0, 0, 0)
		for _, q := range []*queued{amy, bob, dora} {
			if !q.done || q.err != nil {
				t.Errorf("%s: %v", q.id, q.err)
			}
		}
	})
}

// A check that takes too long is given up, in words that say so, and then the next has its turn. Waiting for one's turn has no
// limit of its own.
func TestUploads_SlowCheck(t *testing.T) {
	contents := [][]byte{music(t, 0), music(t, 1), music(t, 2)}
	synctest.Test(t, func(t *testing.T) {
		b := &brings{}
		var stands atomic.Bool
		u := uploadsIn(t.TempDir(), b, func(c *UploadsConfig) {
			c.Known = func(ctx context.Context) (library.State, error) {
				if stands.Load() && ctx.Done() != nil {
					if _, limited := ctx.Deadline(); limited { // in a check; the folder is looked at before, too
						<-ctx.Done()
						return library.State{}, ctx.Err()
					}
				}
				return b.known(ctx)
			}
		})
		stands.Store(true)
		start := time.Now()
		amy, bob := brought(t.Context(), u, "amy", contents[0]), brought(t.Context(), u, "bob", contents[1])
		cem := brought(t.Context(), u, "cem", contents[2])
		time.Sleep(2*checkTakes - time.Second)
		synctest.Wait()
		if !amy.done || bob.done || u.Place("bob") != 1 || u.Place("cem") != 2 {
			t.Fatalf("after %v: amy %v, bob %v", time.Since(start), amy.done, bob.done)
		}
		stands.Store(false)
		time.Sleep(time.Second)
		synctest.Wait()
		for _, q := range []*queued{amy, bob} {
			if !errors.Is(q.err, errSlow) {
				t.Errorf("%s: %v", q.id, q.err)
			}
		}
		if !cem.done || cem.err != nil {
			t.Errorf("cem: %v", cem.err)
		}
	})
}
