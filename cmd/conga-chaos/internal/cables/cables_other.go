//go:build !linux

package cables

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"
)

// Router cannot be had: see New.
type Router struct{}

// Host cannot be had.
type Host struct{}

// New fails.
func New() (*Router, error) { return nil, errors.New("only Linux has network namespaces") }

func (*Router) Host() (*Host, error)                                        { panic("no router") }
func (*Router) Close() error                                                { return nil }
func (*Host) Addr() netip.Addr                                              { panic("no host") }
func (*Host) Do(func() error) error                                         { panic("no host") }
func (*Host) Dial(context.Context, string, time.Duration) (net.Conn, error) { panic("no host") }
func (*Host) Pull() error                                                   { panic("no host") }
func (*Host) Plug() error                                                   { panic("no host") }
func (*Host) Slow(uint64) error                                             { panic("no host") }
func (*Host) Fast() error                                                   { panic("no host") }
func (*Host) Part(*Host) error                                              { panic("no host") }
func (*Host) Meet() error                                                   { panic("no host") }
func (*Host) Free() error                                                   { panic("no host") }
