package transport

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// tick is the longest of the kernel's clock.
const tick = 10 * time.Millisecond

// arrival is when the connection was made, or up to two ticks later, but never earlier. The system knows it: on a busy machine a
// connection may wait in the listener's queue for long. What the peer has sent since would hide it, so arrival is
// asked once, when the connection is accepted.
func arrival(conn net.Conn) time.Time {
	now := time.Now()
	tcp, is := conn.(syscall.Conn)
	if !is {
		return now
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return now
	}
	_ = raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			now = now.Add(-max(0, time.Duration(info.Last_data_recv)*time.Millisecond-tick))
		}
	})
	return now
}
