package baseline

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Fan is a server that writes each message to all its clients, one after another, in one goroutine. A client that comes
// gets the newest message at once, as Icecast's burst.
type Fan struct {
	listener net.Listener
	sent     atomic.Int64
	stop     chan struct{}
	wg       sync.WaitGroup

	mu      sync.Mutex
	clients []net.Conn
	newest  []byte
}

// StartFan starts a server that sends music every interval, size bytes at a time, from the beginning again when it ends.
func StartFan(music []byte, size int, every time.Duration) (*Fan, error) {
	if size < 1 || len(music) < size {
		return nil, fmt.Errorf("messages of %d bytes out of %d: at least one", size, len(music))
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start a fan-out server: %w", err)
	}
	f := &Fan{listener: listener, stop: make(chan struct{}), newest: music[:size]}
	f.wg.Go(f.accept)
	f.wg.Go(func() { repeat(music, size, every, f.stop, f.play) })
	return f, nil
}

// Addr is where clients connect.
func (f *Fan) Addr() string { return f.listener.Addr().String() }

// Sent is how many bytes went to all clients.
func (f *Fan) Sent() int64 { return f.sent.Load() }

func (f *Fan) accept() {
	for {
		conn, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		f.write(conn, f.newest)
		f.clients = append(f.clients, conn)
		f.mu.Unlock()
	}
}

func (f *Fan) play(message []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.newest = message
	for _, conn := range f.clients {
		f.write(conn, message)
	}
}

// Send writes music to the connection every interval, size bytes at a time, from the beginning again when it ends. The
// function that it returns ends that, and closes the connection.
func Send(to net.Conn, music []byte, size int, every time.Duration) (stop func()) {
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		repeat(music, size, every, ended, func(message []byte) { _, _ = to.Write(message) }) // whoever reads misses it
	}()
	return func() {
		close(ended)
		_ = to.Close()
		<-done
	}
}

// repeat gives out music every interval until stop is closed.
func repeat(music []byte, size int, every time.Duration, stop <-chan struct{}, give func([]byte)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for at := 0; ; at += size {
		if at+size > len(music) {
			at = 0
		}
		select {
		case <-tick.C:
			give(music[at : at+size])
		case <-stop:
			return
		}
	}
}

// write does not mind a client that has gone: it has no more work with it than an error.
func (f *Fan) write(conn net.Conn, message []byte) {
	n, _ := conn.Write(message)
	f.sent.Add(int64(n))
}

// Close ends the server and its connections.
func (f *Fan) Close() error {
	close(f.stop)
	err := f.listener.Close()
	f.mu.Lock()
	for _, conn := range f.clients {
		_ = conn.Close()
	}
	f.mu.Unlock()
	f.wg.Wait()
	return err
}
