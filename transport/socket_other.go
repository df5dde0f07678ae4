//go:build !unix

package transport

import "net"

// socket is not used on this system: a stream's own goroutine writes every item.
type socket struct{}

func socketOf(net.Conn) *socket { return nil }

func (*socket) try([]byte) int { return 0 }
