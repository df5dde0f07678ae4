// Package natstest runs nats-server, for tests: real processes, on free ports of this machine, with JetStream in temporary folders.
package natstest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"conga/messages/ports"
)

// patience is how long a cluster may take to choose its leaders. No test waits so long unless it fails.
const patience = time.Minute

// program builds nats-server once and returns its path. The go command caches it.
var program = sync.OnceValues(func() (string, error) {
	_, here, _, _ := runtime.Caller(0)
	build := exec.Command("go", "tool", "-n", "nats-server")
	build.Dir = filepath.Join(filepath.Dir(here), "testdata", "server")
	build.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", "CGO_ENABLED=0")
	var said bytes.Buffer
	build.Stderr = &said
	out, err := build.Output()
	if err != nil {
		return "", fmt.Errorf("build nats-server: %w: %s", err, said.Bytes())
	}
	return strings.TrimSpace(string(out)), nil
})

// Program returns nats-server's file.
func Program(t testing.TB) string {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Cluster is some servers.
type Cluster struct {
	Servers []*Server
	t       testing.TB
}

// Server is one process.
type Server struct {
	Name, URL string
	t         testing.TB
	config    string
	process   *exec.Cmd // nil: it does not run
	said      *bytes.Buffer
}

// Start starts n servers, and returns when they have chosen a leader. They end with the test.
func Start(t testing.TB, n int) *Cluster {
	t.Helper()
	return StartWith(t, n, "1GB")
}

// StartWith is Start with that much room for JetStream on each server, as NATS writes it.
func StartWith(t testing.TB, n int, room string) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	first, err := ports.Free(2 * n) // a server that comes back has the same
	if err != nil {
		t.Fatal(err)
	}
	var routes []string
	for i := range n {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", first+n+i))
	}
	for i := range n {
		dir := t.TempDir()
		name := fmt.Sprintf("nats%d", i+1)
		config := fmt.Sprintf("server_name: %s\nlisten: \"127.0.0.1:%d\"\njetstream { store_dir: %q, max_file_store: %s }\n", name, first+i, dir, room)
		if n > 1 {
			config += fmt.Sprintf("cluster { name: test, listen: \"127.0.0.1:%d\", routes: [%s] }\n", first+n+i, strings.Join(routes, ", "))
		}
		file := filepath.Join(dir, "nats.conf")
		if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		s := &Server{Name: name, URL: fmt.Sprintf("nats://127.0.0.1:%d", first+i), t: t, config: file}
		c.Servers = append(c.Servers, s)
		t.Cleanup(s.Kill)
		s.Start()
	}
	c.Ready()
	return c
}

// URL is all servers' addresses.
func (c *Cluster) URL() string {
	var all []string
	for _, s := range c.Servers {
		all = append(all, s.URL)
	}
	return strings.Join(all, ",")
}

// Ready waits until JetStream answers.
func (c *Cluster) Ready() {
	c.t.Helper()
	c.with(func(ctx context.Context, js jetstream.JetStream) error {
		_, err := js.AccountInfo(ctx)
		return err
	})
}

// Leader waits until the stream has a leader, and returns it.
func (c *Cluster) Leader(stream string) *Server {
	c.t.Helper()
	var leader *Server
	c.with(func(ctx context.Context, js jetstream.JetStream) error {
		s, err := js.Stream(ctx, stream)
		if err != nil {
			return err
		}
		for _, one := range c.Servers {
			if s.CachedInfo().Cluster != nil && one.Name == s.CachedInfo().Cluster.Leader {
				leader = one
				return nil
			}
		}
		return fmt.Errorf("%s has no leader", stream)
	})
	return leader
}

// Whole waits until all servers have all of the stream.
func (c *Cluster) Whole(stream string) {
	c.t.Helper()
	c.with(func(ctx context.Context, js jetstream.JetStream) error {
		s, err := js.Stream(ctx, stream)
		if err != nil {
			return err
		}
		of := s.CachedInfo().Cluster
		if of == nil || of.Leader == "" || len(of.Replicas) != len(c.Servers)-1 {
			return fmt.Errorf("%s is not on all servers", stream)
		}
		for _, one := range of.Replicas {
			if !one.Current {
				return fmt.Errorf("%s is behind", one.Name)
			}
		}
		return nil
	})
}

// with runs do until it returns no error.
func (c *Cluster) with(do func(context.Context, jetstream.JetStream) error) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	conn, err := nats.Connect(c.URL(), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		c.t.Fatal(err)
	}
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		try, cancel := context.WithTimeout(ctx, time.Second)
		err := do(try, js)
		cancel()
		if err == nil {
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			c.t.Fatalf("nats-server is not ready: %v\n%s", err, c.Servers[0].said)
		}
	}
}

// Start starts the process, or starts it again, and waits until its port is open.
func (s *Server) Start(args ...string) {
	s.t.Helper()
	s.said = &bytes.Buffer{}
	s.process = exec.Command(Program(s.t), append([]string{"-c", s.config}, args...)...)
	s.process.Stdout, s.process.Stderr = s.said, s.said
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
	until := time.Now().Add(patience)
	for {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "nats://"))
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(until) {
			s.t.Fatalf("nats-server does not start: %v", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Kill kills the process, as kill -9 does, and waits for its end.
func (s *Server) Kill() {
	if s.process == nil {
		return
	}
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
	s.process = nil
}

// Empty removes all that a killed server has kept.
func (s *Server) Empty() {
	s.t.Helper()
	if err := os.RemoveAll(filepath.Join(filepath.Dir(s.config), "jetstream")); err != nil {
		s.t.Fatal(err)
	}
}
