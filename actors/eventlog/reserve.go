package eventlog

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Reserve is a store that keeps room for itself on the disk: a file that is given up when
// the disk is full, so that what matters can still be written, and made again when there is
// room. While it is given up, Full says so: then nothing should be appended that can be
// refused. It guards against a disk that fills up, not against somebody who fills it
// faster than a log can be written.
type Reserve struct {
	Store
	path string
	size int64
	tell func(full bool)

	mu      sync.Mutex
	full    bool
	closing chan struct{}
	wg      sync.WaitGroup
}

const (
	reserveName = "reserve"
	// roomAgain is how often a full disk is looked at, and roomToSpare what must be free beyond
	// the reserve before it counts as having room: a disk at its limit must not flutter.
	roomAgain   = 5 * time.Second
	roomToSpare = 1 << 20
)

// OpenReserve keeps size bytes for the store in its folder, which must be there, and owns
// the store from now on. tell hears when the disk has no room, and when it has some
// again, one after the other.
func OpenReserve(store Store, dir string, size int64, tell func(full bool)) *Reserve {
	r := &Reserve{Store: store, path: filepath.Join(dir, reserveName), size: size, tell: tell, closing: make(chan struct{})}
	if r.fill() != nil {
		r.giveUp()
	}
	return r
}

// Full says whether the disk has no room but for what the reserve has left.
func (r *Reserve) Full() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.full
}

// Append gives the reserve up before it fails for want of room.
func (r *Reserve) Append(expected uint64, rows []Row) error {
	err := r.Store.Append(expected, rows)
	if errors.Is(err, ErrFull) && r.giveUp() {
		return r.Store.Append(expected, rows)
	}
	return err
}

// Drop and Keep can wait: what they would take of the reserve is for events.
func (r *Reserve) Drop(base Mark, data []byte) error {
	if r.Full() {
		return ErrFull
	}
	return r.Store.Drop(base, data)
}

// Keep is explained at Drop.
func (r *Reserve) Keep(name string, data []byte) error {
	if r.Full() {
		return ErrFull
	}
	return r.Store.Keep(name, data)
}

// giveUp frees the reserve, and looks for room from now on; false if it is free already.
func (r *Reserve) giveUp() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.full {
		return false
	}
	_ = os.Remove(r.path) // one that is not there takes no room
	r.full = true
	r.tell(true)
	r.wg.Go(r.look)
	return true
}

// look makes the reserve again as soon as it can.
func (r *Reserve) look() {
	again := time.NewTicker(roomAgain)
	defer again.Stop()
	for {
		select {
		case <-r.closing:
			return
		case <-again.C:
		}
		if r.fill() == nil {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.full = false
			r.tell(false)
			return
		}
	}
}

// fill makes the file, if it is not there and there is room to spare.
func (r *Reserve) fill() error {
	if info, err := os.Stat(r.path); err == nil && info.Size() == r.size {
		return nil
	}
	dir := filepath.Dir(r.path)
	if free, err := freeBytes(dir); err == nil && free < r.size+roomToSpare {
		return fmt.Errorf("%s has %d bytes free: %w", dir, free, ErrFull)
	}
	part := r.path + ".part"
	f, err := os.Create(part)
	if err != nil {
		return err
	}
	_, err = f.Write(noise(r.size))
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(part, r.path)
	}
	if err != nil {
		_ = os.Remove(part)
	}
	return err
}

// noise is what no file system can make smaller.
func noise(size int64) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b) // it never fails
	return b
}

// Close leaves the reserve for the next start.
func (r *Reserve) Close() error {
	r.mu.Lock()
	select {
	case <-r.closing:
	default:
		close(r.closing)
	}
	r.mu.Unlock()
	r.wg.Wait()
	return r.Store.Close()
}
