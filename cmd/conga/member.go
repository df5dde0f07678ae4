package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"conga/actors/eventlog"
	"conga/actors/eventlog/jetstream"
	"conga/cmd/internal/address"
	"conga/cmd/internal/cli"
	"conga/cmd/internal/monitor"
	"conga/cmd/internal/node"
	"conga/messages"
	"conga/transport"
	"conga/transport/web"
)

func (c *serveCmd) validateServers() error {
	if len(c.All) > messages.MaxServers {
		return fmt.Errorf("--servers names at most %d servers", messages.MaxServers)
	}
	for i, text := range c.All {
		addr, err := address.WithPort(text, address.RequestsPort)
		if err != nil {
			return fmt.Errorf("--servers: %w", err)
		}
		c.All[i] = addr
	}
	if len(c.All) == 0 {
		return nil
	}
	_, err := node.LeaseFor(c.Slack)
	return err
}

// member serves as one of several servers.
func (c *serveCmd) member(ctx context.Context, io *cli.Streams, debug *node.Debug, playlist node.Playlist, logger *slog.Logger) error {
	length, err := node.LeaseFor(c.Slack)
	if err != nil {
		return err
	}
	browsers, err := c.browsers(logger)
	if err != nil {
		return err
	}
	nats, err := c.Servers()
	if err != nil {
		return err
	}
	key, err := node.SharedKey(c.Data, logger)
	if err != nil {
		return err
	}
	store, err := jetstream.Open(ctx, nats) // it makes the log if the radio is new
	if err != nil {
		return unlessStopped(ctx, err)
	}
	defer store.Close()
	nats.On = store
	logger.Info("one of several servers: if the one that leads is gone, another takes over so soon that nobody hears it; while most servers of NATS are away, the music stops",
		"lease", length, "slack", c.Slack)
	r := &role{cmd: c, io: io, debug: debug, logger: logger, browsers: browsers}
	o := c.options(browsers, playlist, logger)
	o.Data.Key, o.Servers = key, c.All
	context.AfterFunc(ctx, func() { cli.Notify(cli.Stopping) })
	err = node.Member(ctx, node.MemberOptions{
		ServerOptions: o, Claims: store.Claims(), Lease: length, Dir: c.Data, Sharing: c.sharing(ctx, nats),
		Read: func() (eventlog.Store, error) { return jetstream.OpenReader(ctx, nats) },
		Write: func(fence func(eventlog.Store) eventlog.Store, lost func(error)) (node.Data, error) {
			return node.OpenShared(ctx, nats, c.Data, c.Songs, func(s *jetstream.Store) eventlog.Store { return fence(s) }, lost, logger)
		},
		Followed: r.follows, Led: r.leads,
	})
	return errors.Join(err, r.end())
}

// role is what such a server says, and its debug port.
type role struct {
	cmd      *serveCmd
	io       *cli.Streams
	logger   *slog.Logger
	browsers browsers
	ready    bool

	debug  *node.Debug // nil: it is served
	at     string      // its address
	served <-chan error
}

// serve answers at the debug port in the new role.
func (r *role) serve(ctx context.Context, music *web.Music, n monitor.Node) {
	if r.served != nil {
		if err := <-r.served; err != nil {
			r.logger.Warn("the debug port has failed", "reason", err)
		}
		var err error
		if r.debug, err = node.ListenDebug(r.at); err != nil {
			r.logger.Warn("there is no debug port any more", "reason", err)
			r.debug = &node.Debug{}
		}
		r.debug.Profiles = r.cmd.PProf
	}
	r.at = r.debug.String()
	r.served = r.debug.Serve(ctx, music, n)
}

func (r *role) end() error {
	if r.served == nil {
		return r.debug.Close()
	}
	return <-r.served
}

func (r *role) follows(ctx context.Context, s *node.Standby) {
	r.serve(ctx, nil, monitor.Node{
		Dump: s.Dump, Log: s.Log, Sent: &transport.Counters{}, Ahead: func() time.Duration { return 0 }, Away: func() string { return "this server stands by" },
	})
	r.say(s.Requests, s.Stream)
}

// say prints the ready line once.
func (r *role) say(requests, stream net.Addr) {
	if r.ready {
		return
	}
	r.ready = true
	fmt.Fprintf(r.io.Out, "ready requests=%s stream=%s http=%s\n", address.Shown(requests), address.Shown(stream), r.at)
	cli.Notify(cli.Ready)
}

func (r *role) leads(ctx context.Context, s *node.Server) {
	r.serve(ctx, s.Music(), s.Watched())
	r.say(s.Requests.Addr(), s.Stream.Addr())
	r.logger.Info("this server leads", "epoch", s.Server.Epoch())
	invite := r.cmd.invite(s.Requests.Addr(), s.Key, r.browsers, r.logger)
	invite.print(r.io)
	context.AfterFunc(ctx, invite.withdraw)
}
