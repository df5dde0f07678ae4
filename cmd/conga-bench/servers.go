package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"conga/cmd/internal/cli"
)

// rival is a server that sends the same to each of its clients.
type rival struct {
	name    string
	server  *process
	clients *worker

	before spent
	read   int64 // by the clients, until then
}

// measureServers measures servers that send the same to each client, all at the same time: they do not need much of the
// machine.
func (c *chainRound) measureServers(ctx context.Context) error {
	music, err := songIn(c.Songs)
	if err != nil {
		return err
	}
	fan, err := c.worker(ctx)
	if err != nil {
		return err
	}
	defer fan.kill()
	var addr string
	if err := fan.call(ctx, "StartFan", FanArgs{Music: music, Size: c.chunk, Every: c.every}, &addr); err != nil {
		return fmt.Errorf("fan-out server: %w", err)
	}
	rivals := []*rival{{name: fanOut, server: fan.process}}
	if rivals[0].clients, err = c.connect(ctx, addr, ""); err != nil {
		return fmt.Errorf("fan-out server: %w", err)
	}
	defer rivals[0].clients.kill()
	ice, addr, stop, err := c.startIcecast(ctx, music, c.chunk, c.every)
	switch {
	case errors.Is(err, errNoIcecast):
		c.result.Lacks("what is against Icecast, for " + err.Error())
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil: // the others count all the same
		c.lacks("chain of %d: %v", c.nodes, err)
	default:
		defer stop()
		clients, err := c.connect(ctx, addr, icecastHello)
		if err != nil {
			return fmt.Errorf("icecast: %w", err)
		}
		defer clients.kill()
		rivals = append(rivals, &rival{name: icecast, server: ice, clients: clients})
	}
	return c.race(ctx, rivals)
}

// connect connects as many clients as the chain has listeners.
func (c *chainRound) connect(ctx context.Context, addr, hello string) (*worker, error) {
	clients, err := c.worker(ctx)
	if err != nil {
		return nil, err
	}
	if err := clients.call(ctx, "StartReaders", ReadersArgs{Addr: addr, Nodes: c.nodes, Hello: hello}, &None{}); err != nil {
		clients.kill()
		return nil, err
	}
	return clients, nil
}

// race lets the servers run, and compares them with conga's.
func (c *chainRound) race(ctx context.Context, rivals []*rival) (err error) {
	if err := cli.Pause(ctx, time.Second); err != nil { // until the clients have got what they get at once
		return err
	}
	for _, r := range rivals {
		if err := r.clients.call(ctx, "ReadersRead", None{}, &r.read); err != nil {
			return err
		}
		if r.before, err = r.server.cpu(); err != nil {
			return err
		}
	}
	if err := cli.Pause(ctx, c.For); err != nil {
		return err
	}
	for _, r := range rivals {
		later, err := r.server.cpu()
		if err != nil {
			return err
		}
		var read int64
		if err := r.clients.call(ctx, "ReadersRead", None{}, &read); err != nil {
			return err
		}
		rss, err := r.server.rss()
		if err != nil {
			return err
		}
		is := c.conga.server
		c.Add(serverCPU, r.name, "s/s", is.cpu, later.since(r.before))
		if is.calm > 0 {
			c.Add(serverCPUCalm, r.name, "s/s", is.calm, later.since(r.before))
		}
		c.Add(serverRSS, r.name, "MB", is.rss.all, rss.all)
		c.Add(serverOwn, r.name, "MB", is.rss.own, rss.own)
		c.Add(serverUpload, r.name, "kbit/s", is.upload, float64(read-r.read)*8/later.at.Sub(r.before.at).Seconds()/1e3)
	}
	return nil
}

// songIn returns the bytes of a song.
func songIn(folder string) ([]byte, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.mp3"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("there is no .mp3 in %s", folder)
	}
	return os.ReadFile(files[0])
}
