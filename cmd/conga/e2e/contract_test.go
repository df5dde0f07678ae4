package e2e

import (
	"encoding/binary"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"conga/cmd/internal/congatest"
)

// oneClearLine checks how a command that could not start ended.
func oneClearLine(t testing.TB, p *process, parts ...string) {
	t.Helper()
	code := p.exit(t)
	text := p.err.String()
	if code == 0 || strings.Count(text, "\n") != 1 || p.out.String() != "" {
		t.Errorf("exit %d, stdout %q, stderr %q: want one line on stderr", code, p.out.String(), text)
	}
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q does not say %q", text, part)
		}
	}
}

func TestE2E_Mistakes(t *testing.T) {
	t.Parallel()
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := nobody.Addr().String()
	mute := launch(t, "join a mute", "join", addr, "--output", "null") // accepted, and never answered: told last

	oneClearLine(t, launch(t, "typo", "sevre"), `did you mean "serve"?`)
	oneClearLine(t, launch(t, "typo", "join", "localhost", "--outptu", "null"), `did you mean "--output"?`)
	help := launch(t, "help", "join", "--help")
	if code := help.exit(t); code != 0 || !strings.Contains(help.out.String(), "Examples:") || help.err.String() != "" {
		t.Errorf("exit %d, stdout %q, stderr %q", code, help.out.String(), help.err.String())
	}

	typo, data := filepath.Join(t.TempDir(), "typo"), filepath.Join(t.TempDir(), "data")
	oneClearLine(t, launch(t, "typo", "serve", "--songs", typo, "--data", data, "--listen", "127.0.0.1:0", "--http", "off"),
		"there is no folder "+typo, "make it", "--songs DIR")
	if _, err := os.Stat(data); err == nil {
		t.Error("a typo in --songs leaves a log behind")
	}
	oneClearLine(t, launch(t, "typo", "demo", "--songs", typo), "there is no folder "+typo, "--songs DIR")

	mute.exit(t)
	if said := mute.err.String(); !strings.Contains(said, "no answer yet") || !strings.Contains(said, addr+" does not answer like a conga server") || strings.Count(said, "\n") != 2 {
		t.Errorf("said %q", said)
	}
	_ = nobody.Close()
	oneClearLine(t, launch(t, "join nobody", "join", addr, "--output", "null"), addr, "nobody listens")
}

func TestE2E_Dump(t *testing.T) {
	t.Parallel()
	server := launchServer(t, congatest.Songs(t, congatest.Short), t.TempDir())
	amy := joinChain(t, server, "amy")[0]
	for name, node := range map[string]*process{"server": server, "amy": amy} {
		p := launch(t, "dump", "dump", node.ready["http"])
		var d map[string]json.RawMessage
		if code := p.exit(t); code != 0 || json.Unmarshal([]byte(p.out.String()), &d) != nil {
			t.Fatalf("exit %d: %s", code, p.out.String())
		}
		for _, key := range []string{"node", "event", "state", "live"} {
			if d[key] == nil {
				t.Errorf("the dump of %s has no %s: %s", name, key, p.out.String())
			}
		}
		if got := string(d["node"]); got != `"`+name+`"` {
			t.Errorf("the dump of %s is that of %s", name, got)
		}
	}
}

func TestE2E_PortInUse(t *testing.T) {
	t.Parallel()
	server := launchServer(t, congatest.Songs(t, congatest.Short), t.TempDir())
	for name, args := range map[string][]string{
		"serve, requests": {"serve", "--songs", t.TempDir(), "--data", t.TempDir(), "--http", "127.0.0.1:0", "--listen", server.requests()},
		"serve, http":     {"serve", "--songs", t.TempDir(), "--data", t.TempDir(), "--http", server.ready["http"], "--listen", "127.0.0.1:0"},
		"join, relay":     {"join", server.requests(), "--output", "null", "--listen", server.stream()},
		"join, http":      {"join", server.requests(), "--output", "null", "--http", server.ready["http"]},
	} {
		oneClearLine(t, launch(t, name, args...), "in use", "another port")
	}
	awaitChain(t, server, nil)
}

// END has other names; the end of stdin is not one of them.
func TestE2E_Leave(t *testing.T) {
	t.Parallel()
	server := launchServer(t, congatest.Songs(t, congatest.Short), t.TempDir())
	for name, signal := range leaveSignals {
		amy := joinChain(t, server, "amy")
		if err := amy[0].stdin.Close(); err != nil {
			t.Fatal(err)
		}
		amy[0].hears(t)
		awaitChain(t, server, amy)
		amy[0].signal(t, signal)
		if code := amy[0].exit(t); code != 0 {
			t.Errorf("%s: exit %d", name, code)
		}
		awaitChain(t, server, nil)
	}
	if err := server.stdin.Close(); err != nil {
		t.Fatal(err)
	}
	joinChain(t, server, "bob")[0].hears(t)
	server.signal(t, syscall.SIGTERM)
	if code := server.exit(t); code != 0 {
		t.Errorf("the server's SIGTERM: exit %d", code)
	}
}

func TestE2E_WAV(t *testing.T) {
	t.Parallel()
	server := launchServer(t, congatest.Songs(t, congatest.Short), t.TempDir())
	file := filepath.Join(t.TempDir(), "take.wav")
	start := time.Now()
	amy := launchListener(t, server, "amy", "--output", "wav:"+file).awaitReady(t, listenerReady)
	eventually(t, "two seconds are recorded", func() string {
		if info, err := os.Stat(file); err != nil || info.Size() < 2*44100*4 {
			return "not yet"
		}
		return ""
	})
	amy.end(t)
	lasted := time.Since(start)
	wav, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const header = 44
	le := binary.LittleEndian
	switch {
	case string(wav[:4]) != "RIFF" || string(wav[8:16]) != "WAVEfmt " || string(wav[36:40]) != "data":
		t.Fatalf("no WAV: %q", wav[:header])
	case le.Uint16(wav[20:]) != 1 || le.Uint16(wav[22:]) != 2 || le.Uint32(wav[24:]) != 44100 || le.Uint16(wav[34:]) != 16:
		t.Errorf("not 44.1 kHz stereo of 16 bits: % x", wav[20:36])
	case int(le.Uint32(wav[4:])) != len(wav)-8 || int(le.Uint32(wav[40:])) != len(wav)-header:
		t.Errorf("it says %d and %d bytes, the file has %d", le.Uint32(wav[4:]), le.Uint32(wav[40:]), len(wav))
	}
	if heard := time.Duration(len(wav)-header) * time.Second / (44100 * 4); heard > lasted+time.Second {
		t.Errorf("%v recorded in %v", heard, lasted)
	}
	loud := 0
	for i := header; i+1 < len(wav); i += 2 {
		if s := int16(le.Uint16(wav[i:])); s > 300 || s < -300 {
			loud++
		}
	}
	if loud < 44100/10 {
		t.Errorf("only %d samples are more than silence", loud)
	}
}
