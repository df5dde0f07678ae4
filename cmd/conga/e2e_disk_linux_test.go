package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The disk of the log fills up while the music plays. The songs go on, whoever goes is missed,
// and who wants to come or asks for a song is told why not, until there is room.
func TestDisk_Full(t *testing.T) {
	data := t.TempDir()
	if err := syscall.Mount("tmpfs", data, "tmpfs", 0, "size=24m"); err != nil {
		t.Skipf("a small disk needs a mount: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(data, syscall.MNT_DETACH) })
	server := launchServer(t, cutSongs(t, shortSongs), filepath.Join(data, "log"))
	chain := joinChain(t, server, "amy", "bob")
	filling := filepath.Join(data, "filling")
	fill(t, filling)

	said := func(words string) string { return askPlain(t, server.requests(), words) }
	eventually(t, "the disk is full, and PLAY says so", func() string {
		if answer := said("PLAY 1\n"); !strings.HasPrefix(answer, "The server's disk is full") {
			return answer
		}
		return ""
	})
	before := server.dump(t).Event
	songs := len(server.dump(t).Live.Pacer.Songs)
	chain[1].kill()
	late := launchListener(t, server, "late", "--data", "none")
	if code := late.exit(t); code == 0 || !strings.Contains(late.err.String(), "disk is full") {
		t.Errorf("a newcomer: exit %d, %s", code, late.err.String())
	}
	eventually(t, "the next songs play, and bob is gone", func() string {
		dump := server.dump(t)
		if n := len(dump.Live.Pacer.Songs) - songs; n < 4 || len(dump.chain()) != 1 {
			return fmt.Sprintf("%d songs have ended since, the chain is %v", n, dump.chain())
		}
		return ""
	})
	if err := os.Remove(filling); err != nil {
		t.Fatal(err)
	}
	eventually(t, "there is room, and a song may be asked for", func() string {
		if answer := said("PLAY 1\n"); strings.HasPrefix(answer, "The server's disk") {
			return answer
		}
		return ""
	})
	launchListener(t, server, "cem").awaitReady(t, listenerReady)
	if after := server.dump(t).Event; after <= before {
		t.Errorf("the log has %d events, had %d", after, before)
	}
	chain[0].unhurt(t)
}

// fill writes until the disk has no room.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(bytes.Repeat([]byte("x"), 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

// askPlain says the words as somebody with nc does, and returns the answer.
func askPlain(t *testing.T, addr, words string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, words)
	_ = conn.(*net.TCPConn).CloseWrite()
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}
