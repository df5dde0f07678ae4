package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"conga/cmd/conga-bench/internal/baseline"
	"conga/cmd/internal/cli"
)

// icecastConfig lets in everybody on this machine. The third part is only for root, as whom Icecast does not run.
const icecastConfig = `<icecast>
<limits><clients>10000</clients><sources>2</sources></limits>
<authentication><source-password>bench</source-password><admin-user>admin</admin-user><admin-password>bench</admin-password></authentication>
<hostname>localhost</hostname>
<listen-socket><port>%s</port><bind-address>127.0.0.1</bind-address></listen-socket>
<paths><logdir>%s</logdir><webroot>/usr/share/icecast2/web</webroot><adminroot>/usr/share/icecast2/admin</adminroot></paths>
<logging><accesslog>access.log</accesslog><errorlog>error.log</errorlog><loglevel>1</loglevel></logging>
<security><chroot>0</chroot>%s</security>
</icecast>
`

const (
	icecastRoot  = `<changeowner><user>nobody</user><group>nogroup</group></changeowner>`
	icecastHello = "GET /stream HTTP/1.0\r\n\r\n"
	// icecastWithin is how long it may take to answer.
	icecastWithin = 10 * time.Second
)

var errNoIcecast = errors.New("it is not installed: sudo apt-get install icecast2")

// startIcecast starts Icecast with a source that sends music as the fan-out server does.
func (b *bench) startIcecast(ctx context.Context, music []byte, size int, every time.Duration) (server *process, addr string, stop func(), err error) {
	program, err := exec.LookPath("icecast2")
	if err != nil {
		return nil, "", nil, errNoIcecast
	}
	dir, err := os.MkdirTemp("", "conga-bench-icecast")
	if err != nil {
		return nil, "", nil, err
	}
	stop = func() { _ = os.RemoveAll(dir) } // the system removes it in time
	fail := func(err error) (*process, string, func(), error) {
		stop()
		return nil, "", nil, fmt.Errorf("icecast: %w", err)
	}
	addr, err = freePort()
	if err != nil {
		return fail(err)
	}
	owner := ""
	if os.Getuid() == 0 {
		owner = icecastRoot
	}
	_, port, _ := net.SplitHostPort(addr)
	config := filepath.Join(dir, "icecast.xml")
	if err := errors.Join(os.Chmod(dir, 0o777), os.WriteFile(config, fmt.Appendf(nil, icecastConfig, port, dir, owner), 0o644)); err != nil {
		return fail(err)
	}
	server, err = start(ctx, b.logs, program, "-c", config)
	if err != nil {
		return fail(err)
	}
	go func() { _, _ = io.Copy(b.logs, server.out) }()
	source, err := feedIcecast(ctx, addr)
	if err != nil {
		server.kill()
		return fail(err)
	}
	sending := baseline.Send(source, music, size, every)
	return server, addr, func() {
		sending()
		server.kill()
		_ = os.RemoveAll(dir)
	}, nil
}

// freePort returns an address at which nobody listens now.
func freePort() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// feedIcecast connects as a source as soon as Icecast is there: a connection that comes while it starts ends at once.
func feedIcecast(ctx context.Context, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, icecastWithin)
	defer cancel()
	for {
		conn, err := offerSource(ctx, addr)
		if err == nil {
			return conn, nil
		}
		if cli.Pause(ctx, 50*time.Millisecond) != nil {
			return nil, err
		}
	}
}

// offerSource connects and says that music follows.
func offerSource(ctx context.Context, addr string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(conn, "SOURCE /stream HTTP/1.0\r\nAuthorization: Basic %s\r\nContent-Type: audio/mpeg\r\n\r\n",
		base64.StdEncoding.EncodeToString([]byte("source:bench")))
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.Contains(answer, "200") {
		return nil, errors.Join(fmt.Errorf("it takes no source: %q", answer), err, conn.Close())
	}
	return conn, nil
}
