package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"conga/actors/eventlog"
	"conga/actors/lease"
	"conga/cmd/internal/keys"
	"conga/cmd/internal/node"
	"conga/messages"
)

// member is one of two servers of a radio, in virtual time.
type member struct {
	listen string
	wire   *wire
	cut    atomic.Bool // from the registers and the log
	end    context.CancelFunc
	done   chan error
	leads  atomic.Bool
}

// errCutOff is what the registers and the log say to a member that is cut off from them.
var errCutOff = errors.New("cut off")

func (m *member) answer(ctx context.Context) error {
	if m.cut.Load() {
		<-ctx.Done()
		return errCutOff
	}
	return nil
}

// sharedClaims and sharedLog are a member's ways to what all members share.
type sharedClaims struct {
	eventlog.Claims
	by *member
}

func (c sharedClaims) Claim(ctx context.Context, expected uint64, data []byte) (uint64, error) {
	if err := c.by.answer(ctx); err != nil {
		return 0, err
	}
	return c.Claims.Claim(ctx, expected, data)
}

func (c sharedClaims) Watch(ctx context.Context, seen func(uint64, []byte)) error {
	return c.Claims.Watch(ctx, func(number uint64, data []byte) {
		if !c.by.cut.Load() {
			seen(number, data)
		}
	})
}

type sharedLog struct {
	eventlog.Store
	by *member
}

func (sharedLog) Close() error { return nil }

func (l sharedLog) Append(expected uint64, rows []eventlog.Row) error {
	if l.by.cut.Load() {
		return errCutOff
	}
	return l.Store.Append(expected, rows)
}

// cluster is a radio with two servers and its listeners.
type cluster struct {
	t         *testing.T
	mem       *memNet
	songs     string
	key       node.Data
	log       eventlog.Store
	registers []eventlog.Claims
	logger    *slog.Logger
	members   [2]*member
}

var memberPorts = [2]string{"127.0.0.1:7000", "127.0.0.1:7010"}

func (c *cluster) start(i int) {
	m := &member{listen: memberPorts[i], wire: newWire(c.mem.network()), done: make(chan error, 1)}
	ctx, cancel := context.WithCancel(c.t.Context())
	m.end = cancel
	c.members[i] = m
	length, err := node.LeaseFor(messages.Slack)
	if err != nil {
		c.t.Fatal(err)
	}
	var registers []eventlog.Claims
	for _, r := range c.registers {
		registers = append(registers, sharedClaims{r, m})
	}
	o := node.MemberOptions{
		ServerOptions: node.ServerOptions{
			Songs: c.songs, Unwatched: true, Listen: m.listen, Data: c.key, Servers: memberPorts[:],
			Logger: c.logger.With("node", m.listen), Dial: m.wire.dial, Bind: m.wire.bind,
		},
		Read: func() (eventlog.Store, error) { return sharedLog{c.log, m}, nil },
		Write: func(fence func(eventlog.Store) eventlog.Store, lost func(error)) (node.Data, error) {
			steady, err := eventlog.OpenSteady(fence(sharedLog{c.log, m}), eventlog.SteadyConfig{Lost: lost, Tell: func(eventlog.DiskState, error) {}})
			return node.Data{Store: steady, Disk: steady, Key: c.key.Key}, err
		},
		Claims: registers, Lease: length,
		Led: func(ctx context.Context, _ *node.Server) {
			m.leads.Store(true)
			context.AfterFunc(ctx, func() { m.leads.Store(false) })
		},
	}
	go func() { m.done <- node.Member(ctx, o) }()
}

// leader waits until one leads.
func (c *cluster) leader() int {
	for range 1000 {
		for i, m := range c.members {
			if m != nil && m.leads.Load() {
				return i
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	c.t.Fatal("nobody leads")
	return 0
}

// kill ends a server's process without a word to anybody.
func (c *cluster) kill(i int) {
	m := c.members[i]
	m.cut.Store(true)
	m.wire.cut()
	m.end()
	if err := <-m.done; err != nil {
		c.t.Error(err)
	}
}

// The leading server is killed, cut off from the log, or stopped in order, again and again. The other one takes over, and nobody
// hears that.
func TestStandby_TakesOver(t *testing.T) {
	songs := virtualSongs(t)
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{
			t: t, mem: newMemNet(), songs: songs, key: node.Data{Key: keys.New()}, log: eventlog.NewMemory(), registers: []eventlog.Claims{eventlog.NewClaims(), eventlog.NewClaims(), eventlog.NewClaims()}, logger: virtualLogger(t),
		}
		c.start(0)
		first := c.leader()
		c.start(1)
		time.Sleep(time.Second)
		system := node.NewSystem(c.logger)
		var all []*inner
		for n := range 5 {
			v, err := startInner(t.Context(), c.mem.network(), system, memberPorts[n%2], fmt.Sprint("listener", n), c.logger)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, v)
		}
		time.Sleep(10 * time.Second)
		for round, fail := range []func(i int){
			func(i int) { c.kill(i) },
			func(i int) { c.members[i].cut.Store(true); time.Sleep(5 * time.Second); c.kill(i) },
			func(i int) { c.members[i].end(); <-c.members[i].done },
			func(i int) { c.kill(i) },
		} {
			leads := c.leader()
			if round == 0 && leads != first {
				t.Error("the lead has passed to another without a reason")
			}
			fail(leads)
			time.Sleep(5 * time.Second)
			c.start(leads)
			time.Sleep(15 * time.Second)
			if now := c.leader(); now == leads {
				t.Errorf("round %d: the other one does not lead", round)
			}
		}
		for n, v := range all {
			r, err := v.receipt(t.Context())
			if err != nil || r.Lost > 0 || r.Twice > 0 || r.Unproved > 0 || r.Lies > 0 || r.Heard == 0 || r.Underruns > 0 {
				t.Errorf("listener %d: %v: %+v", n, err, r)
			}
			v.close()
		}
		for i := range c.members {
			c.kill(i)
		}
		system.Shutdown()
		time.Sleep(2 * time.Second)
	})
}

// Who joins a server that stands by, while the one that leads cannot be reached, is told that.
func TestStandby_LeaderOutOfReach(t *testing.T) {
	songs := virtualSongs(t)
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{
			t: t, mem: newMemNet(), songs: songs, key: node.Data{Key: keys.New()}, log: eventlog.NewMemory(), registers: []eventlog.Claims{eventlog.NewClaims()}, logger: virtualLogger(t),
		}
		leads := lease.Start(lease.Config{
			Claims: c.registers, Length: time.Second, Requests: "192.0.2.9:7000", Now: func() int64 { return time.Now().UnixMicro() }, Logger: c.logger,
		})
		time.Sleep(100 * time.Millisecond)
		c.start(0)
		time.Sleep(time.Second)
		system := node.NewSystem(c.logger)
		_, err := startInner(t.Context(), c.mem.network(), system, memberPorts[0], "amy", c.logger)
		if err == nil || !strings.Contains(err.Error(), "192.0.2.9:7000 leads") {
			t.Errorf("a listener is told: %v", err)
		}
		leads.Close()
		c.kill(0)
		system.Shutdown()
		time.Sleep(2 * time.Second)
	})
}
