package baseline

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// Readers are clients that read and throw away.
type Readers struct {
	conns []net.Conn
	read  atomic.Int64
	wg    sync.WaitGroup
}

// StartReaders connects n clients to the server. Each first says hello, which may be empty.
func StartReaders(addr string, n int, hello string) (*Readers, error) {
	r := &Readers{}
	for range n {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			r.conns = append(r.conns, conn)
			_, err = io.WriteString(conn, hello)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("connect a client to %s: %w", addr, err), r.Close())
		}
		r.wg.Go(func() {
			buf := make([]byte, 4096)
			for {
				got, err := conn.Read(buf)
				r.read.Add(int64(got))
				if err != nil {
					return
				}
			}
		})
	}
	return r, nil
}

// Read is how many bytes all clients have got.
func (r *Readers) Read() int64 { return r.read.Load() }

// Close ends the clients.
func (r *Readers) Close() error {
	for _, conn := range r.conns {
		_ = conn.Close()
	}
	r.wg.Wait()
	return nil
}
