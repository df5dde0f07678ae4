package e2e

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"conga/cmd/internal/congatest"
)

// unit is what a systemd unit says, by name; a name may be there several times.
func unit(t *testing.T, name string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../packaging/" + name + ".service")
	if err != nil {
		t.Fatal(err)
	}
	says := map[string][]string{}
	for _, line := range regexp.MustCompile(`(?m)^([A-Za-z]+)=(.*)$`).FindAllStringSubmatch(string(text), -1) {
		says[line[1]] = append(says[line[1]], strings.Fields(line[2])...)
	}
	return says
}

// caged starts the unit's command line as systemd would: everything is read-only but its state and what ReadWritePaths names,
// it is a user of its own without capabilities, and it sees no other /tmp, /run or /home. more are further variables.
func caged(t *testing.T, name string, songs string, more ...string) (p *process, notified *net.UnixConn) {
	t.Helper()
	says := unit(t, name)
	cage, state := t.TempDir(), t.TempDir()
	for _, dir := range []string{cage, state, songs} {
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	notified, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(cage, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = notified.Close() })
	stateDir := "/var/lib/" + says["StateDirectory"][0]
	args := []string{
		"--ro-bind", "/", "/", "--tmpfs", "/tmp", "--tmpfs", "/run", "--tmpfs", "/home", "--tmpfs", "/srv", "--ro-bind", songs, "/srv/music",
		"--tmpfs", "/var/lib", "--bind", state, stateDir, "--ro-bind", congaFile, "/run/conga", "--bind", cage, "/run/cage",
		"--dev", "/dev", "--proc", "/proc", "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts",
		"--uid", "61999", "--gid", "61999", "--cap-drop", "ALL", "--new-session", "--die-with-parent", "--clearenv",
		"--setenv", "PATH", "/usr/bin:/bin", "--setenv", "STATE_DIRECTORY", stateDir, "--setenv", "NOTIFY_SOCKET", "/run/cage/notify",
	}
	for _, path := range says["ReadWritePaths"] {
		rest, optional := strings.CutPrefix(path, "-")
		from := filepath.Join(songs, strings.TrimPrefix(rest, "/srv/music"))
		if _, err := os.Stat(from); err != nil && optional {
			continue
		}
		args = append(args, "--bind", from, rest)
	}
	for _, pair := range append(says["Environment"], more...) {
		key, value, _ := strings.Cut(strings.ReplaceAll(pair, "%H", "host"), "=")
		args = append(args, "--setenv", key, value)
	}
	for _, word := range append([]string{"/run/conga"}, says["ExecStart"][1:]...) {
		args = append(args, strings.ReplaceAll(word, "${STATE_DIRECTORY}", stateDir))
	}
	if out, err := exec.Command("bwrap", append(args[:len(args)-len(says["ExecStart"]):len(args)-len(says["ExecStart"])], "/bin/true")...).CombinedOutput(); err != nil {
		t.Skipf("bubblewrap makes no cage here: %v: %s", err, out)
	}
	return launchOn(t, name, func(c *exec.Cmd) {
		c.Path, c.Args = mustFind(t, "bwrap"), append([]string{"bwrap"}, args...)
		c.Stdin = strings.NewReader("")
	}), notified
}

func mustFind(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skip("there is no ", program, " on this machine: sudo apt-get install bubblewrap")
	}
	return path
}

// The units' own command lines work behind their own walls: the server plays, takes a song that a guest brings where it may
// write, and says what is missing where it may not; the listener hears it. Both tell systemd that they are ready.
func TestE2E_Units(t *testing.T) {
	mustFind(t, "bwrap")
	joy := congatest.Cut{From: "beethoven.mp3", First: 60, N: 100}.Frames(t)
	file := filepath.Join(t.TempDir(), "joy.mp3")
	if err := os.WriteFile(file, joy, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, uploads := range map[string]bool{"without a folder for uploads": false, "with one": true} {
		t.Run(name, func(t *testing.T) {
			songs := congatest.Songs(t, map[string]congatest.Cut{"air.mp3": {From: "bach.mp3", First: 100, N: 100}})
			if uploads {
				if err := os.Mkdir(filepath.Join(songs, "uploads"), 0o777); err != nil {
					t.Fatal(err)
				}
				if err := os.Chmod(filepath.Join(songs, "uploads"), 0o1777); err != nil {
					t.Fatal(err)
				}
			}
			server, notified := caged(t, "conga-server", songs, "CONGA_LISTEN=127.0.0.1:0", "CONGA_HTTP=127.0.0.1:0", "CONGA_ACCEPT_UPLOADS=true")
			server.awaitReady(t, serverReady)
			readyTold(t, notified)
			code, said, refused := conga(t, "add", "--server", server.requests(), file)
			switch {
			case uploads && (code != 0 || !strings.Contains(said, "Song uploads/joy.mp3 is here")):
				t.Errorf("a song is brought: %d %q %q", code, said, refused)
			case !uploads && (code == 0 || !strings.Contains(refused, "must let conga write into the songs folder")):
				t.Errorf("a song is brought where nothing can be written: %d %q %q", code, said, refused)
			}
			listener, notified := caged(t, "conga-listener", t.TempDir(), "CONGA_SERVER="+server.requests(), "CONGA_OUTPUT=null", "CONGA_HTTP=127.0.0.1:0")
			listener.awaitReady(t, listenerReady)
			readyTold(t, notified)
			listener.hears(t)
		})
	}
}

// readyTold waits until systemd would know that the service is ready.
func readyTold(t *testing.T, notified *net.UnixConn) {
	t.Helper()
	_ = notified.SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, 256)
	n, err := notified.Read(buf)
	if err != nil || !bytes.HasPrefix(buf[:n], []byte("READY=1")) {
		t.Errorf("systemd is told %q, %v", buf[:n], err)
	}
}
