//go:build unix

package transport

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// socket writes without waiting. It belongs to one goroutine at a time.
type socket struct {
	raw   syscall.RawConn
	bytes []byte
	taken int
	write func(fd uintptr) bool // a field, so that a write needs no memory
}

// rawOf returns the system's own connection; nil if it is not one.
func rawOf(conn net.Conn) syscall.RawConn {
	own, is := conn.(syscall.Conn)
	if !is {
		return nil
	}
	raw, err := own.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// socketOf returns nil if the connection is not the system's own.
func socketOf(conn net.Conn) *socket {
	raw := rawOf(conn)
	if raw == nil {
		return nil
	}
	s := &socket{raw: raw}
	s.write = func(fd uintptr) bool {
		s.taken, _ = unix.Write(int(fd), s.bytes)
		return true // whatever came of it: do not wait
	}
	return s
}

// try writes as many of the bytes as the system takes now, and returns their number. An error shows at the next usual
// write.
func (s *socket) try(bytes []byte) int {
	s.bytes, s.taken = bytes, 0
	_ = s.raw.Write(s.write)
	return max(0, s.taken)
}
