package baseline

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Copy sends the bytes through n hops, each of which is an io.Copy, and returns how long that took, from the first byte
// that left the first hop to the last that came out of the last one.
func Copy(n, bytes int) (took time.Duration, err error) {
	links := make([]link, n+1)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer func() {
		for _, l := range links {
			if l.near != nil {
				err = errors.Join(err, ignoreClosed(l.near.Close()), ignoreClosed(l.far.Close()))
			}
		}
	}()
	for i := range links {
		if links[i], err = connect(); err != nil {
			return 0, err
		}
	}
	for i := range n {
		wg.Go(func() { _, _ = io.Copy(links[i+1].near, links[i].far) })
	}
	data := make([]byte, bytes)
	failed := make(chan error, 1)
	start := time.Now()
	wg.Go(func() {
		_, err := links[0].near.Write(data)
		failed <- err
	})
	if _, err := io.ReadFull(links[n].far, make([]byte, bytes)); err != nil {
		return 0, fmt.Errorf("copy through %d hops: %w", n, err)
	}
	took = time.Since(start)
	return took, <-failed
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
