package seed

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// lineOf asks the system about the connection; false if it cannot say.
func lineOf(conn net.Conn) (l line, seen bool) {
	tcp, is := conn.(syscall.Conn)
	if !is {
		return line{}, false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return line{}, false
	}
	err = raw.Control(func(fd uintptr) {
		unsent, err1 := unix.IoctlGetInt(int(fd), unix.SIOCOUTQNSD)
		unacked, err2 := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
		info, err3 := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if seen = err1 == nil && err2 == nil && err3 == nil; seen {
			l = line{unsent: unsent, unacked: unacked, window: int(info.Snd_wnd)}
		}
	})
	return l, seen && err == nil
}
