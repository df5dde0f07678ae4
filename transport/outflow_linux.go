package transport

import (
	"net"

	"golang.org/x/sys/unix"
)

// waitingOf returns a function that says how many bytes the connection's other end has not acknowledged; nil if the connection is
// not the system's own.
func waitingOf(conn net.Conn) func() int {
	raw := rawOf(conn)
	if raw == nil {
		return nil
	}
	return func() (bytes int) {
		_ = raw.Control(func(fd uintptr) {
			if n, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ); err == nil {
				bytes = n
			}
		})
		return bytes
	}
}
