package cli

import (
	"net"
	"os"
)

// States for a service manager (sd_notify(3)).
const (
	Ready    = "READY=1"
	Stopping = "STOPPING=1"
)

// Notify tells systemd the state, if systemd has started this process and waits for it. If that fails, the process plays
// all the same.
func Notify(state string) {
	at := os.Getenv("NOTIFY_SOCKET")
	if at == "" {
		return
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: at, Net: "unixgram"}) // @ begins an abstract name
	if err != nil {
		return
	}
	_, _ = conn.Write([]byte(state)) // if it does not arrive, systemd waits, and says so itself
	_ = conn.Close()
}
