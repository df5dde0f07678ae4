package cli

import (
	"net"
	"path/filepath"
	"runtime"
	"testing"
)

func TestNotify(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no systemd, nor such sockets")
	}
	Notify(Ready) // nobody waits for it
	at := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: at, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	t.Setenv("NOTIFY_SOCKET", at)
	Notify(Ready)
	said := make([]byte, 100)
	n, err := manager.Read(said)
	if err != nil || string(said[:n]) != "READY=1" {
		t.Errorf("%q, %v", said[:n], err)
	}
	t.Setenv("NOTIFY_SOCKET", at+".gone")
	Notify(Stopping) // it must return
}
