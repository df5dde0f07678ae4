package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"conga/cmd/internal/cli"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// natsWithin is how long servers of NATS may take to choose leaders and to copy what one of them has missed.
const natsWithin = time.Minute

// natsServers are some servers of NATS in a cluster.
type natsServers struct {
	all  []*natsServer
	from network // where they are asked from
}

type natsServer struct {
	name, addr string // host:port of its clients
	net        network
	program    nodePrograms // conga is nats-server's file
	config     string
	cmd        *exec.Cmd
}

// startNATS starts n servers with their data below dir.
func startNATS(ctx context.Context, n int, program nodePrograms, place func() (network, error), dir string) (*natsServers, error) {
	from, err := place()
	if err != nil {
		return nil, err
	}
	c := &natsServers{from: from}
	var routes []string
	for i := range n {
		spot, err := place()
		if err != nil {
			return nil, err
		}
		ports, err := freePorts(spot, 2)
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("nats%d", i+1)
		routes = append(routes, "nats://"+ports[1])
		c.all = append(c.all, &natsServer{name: name, addr: ports[0], net: spot, program: program, config: filepath.Join(dir, name+".conf")})
	}
	for i, s := range c.all {
		config := fmt.Sprintf("server_name: %s\nlisten: %q\njetstream { store_dir: %q, max_file_store: 1GB }\ncluster { name: trial, listen: %q, routes: [%s] }\n",
			s.name, s.addr, filepath.Join(dir, s.name), strings.TrimPrefix(routes[i], "nats://"), strings.Join(routes, ", "))
		err := os.WriteFile(s.config, []byte(config), 0o600)
		if err == nil {
			err = s.start(ctx)
		}
		if err != nil {
			c.close()
			return nil, err
		}
	}
	if err := c.whole(ctx); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// freePorts are host:port, free a moment ago: a server that comes back must have the same.
func freePorts(n network, many int) (all []string, err error) {
	for range many {
		l, err := n.bind(n.addr + ":0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close()
		all = append(all, l.Addr().String())
	}
	return all, nil
}

// start starts the process, and waits until it lets clients in.
func (s *natsServer) start(ctx context.Context) error {
	s.cmd = exec.Command(s.program.conga, "-c", s.config)
	s.cmd.Stdout, s.cmd.Stderr = s.program.logs, s.program.logs
	if err := s.net.start(s.cmd); err != nil {
		s.cmd = nil
		return fmt.Errorf("run %s: %w", s.program.conga, err)
	}
	ctx, cancel := context.WithTimeout(ctx, natsWithin)
	defer cancel()
	for {
		conn, err := s.net.dial(ctx, s.addr)
		if err == nil {
			return conn.Close()
		}
		if cli.Pause(ctx, 10*time.Millisecond) != nil {
			return fmt.Errorf("%s does not start, --log FILE tells more: %w", s.name, err)
		}
	}
}

// kill is kill -9.
func (s *natsServer) kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait() // it was killed
		s.cmd = nil
	}
}

func (c *natsServers) close() {
	for _, s := range c.all {
		s.kill()
	}
}

func (c *natsServers) url() string {
	var all []string
	for _, s := range c.all {
		all = append(all, s.addr)
	}
	return "nats://" + strings.Join(all, ",")
}

// natsDialer lets NATS' client dial in a network.
type natsDialer struct{ network }

// Dial is described at nats.CustomDialer.
func (d natsDialer) Dial(_, addr string) (net.Conn, error) { return d.dial(context.Background(), addr) }

// with runs do until it returns no error.
func (c *natsServers) with(ctx context.Context, do func(context.Context, jetstream.JetStream) error) error {
	ctx, cancel := context.WithTimeout(ctx, natsWithin)
	defer cancel()
	conn, err := nats.Connect(c.url(), nats.SetCustomDialer(natsDialer{c.from}), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	if err != nil {
		return fmt.Errorf("connect to NATS: %w", err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	for {
		try, cancel := context.WithTimeout(ctx, time.Second)
		err := do(try, js)
		cancel()
		if err == nil {
			return nil
		}
		if cli.Pause(ctx, 50*time.Millisecond) != nil {
			return fmt.Errorf("NATS is not ready: %w", err)
		}
	}
}

// leader waits until the stream has a leader, and returns it.
func (c *natsServers) leader(ctx context.Context, stream string) (leader *natsServer, err error) {
	err = c.with(ctx, func(ctx context.Context, js jetstream.JetStream) error {
		of, err := js.Stream(ctx, stream)
		if err != nil {
			return err
		}
		for _, s := range c.all {
			if at := of.CachedInfo().Cluster; at != nil && at.Leader == s.name {
				leader = s
				return nil
			}
		}
		return fmt.Errorf("%s has no leader", stream)
	})
	return leader, err
}

// whole waits until each stream has a leader, and all its copies are as new as that one's.
func (c *natsServers) whole(ctx context.Context) error {
	return c.with(ctx, func(ctx context.Context, js jetstream.JetStream) error {
		if _, err := js.AccountInfo(ctx); err != nil {
			return err
		}
		streams := js.ListStreams(ctx)
		var behind error
		for of := range streams.Info() {
			if of.Cluster == nil || of.Cluster.Leader == "" {
				behind = errors.Join(behind, fmt.Errorf("%s has no leader", of.Config.Name))
				continue
			}
			for _, copied := range of.Cluster.Replicas {
				if !copied.Current {
					behind = errors.Join(behind, fmt.Errorf("%s at %s is behind", of.Config.Name, copied.Name))
				}
			}
		}
		return errors.Join(behind, streams.Err())
	})
}
