package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"conga/actors"
	"conga/messages"
)

// patience is how long anything may take on the busiest machine. What usually takes
// milliseconds is measured and told, not asserted: other programs use this machine too.
const patience = 40 * time.Second

// eventually looks every few milliseconds until try finds nothing wrong, and returns how
// long that took.
func eventually(t testing.TB, what string, try func() (wrong string)) time.Duration {
	t.Helper()
	start := time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		wrong := try()
		if wrong == "" {
			return time.Since(start)
		}
		if time.Since(start) > patience {
			t.Fatalf("%s: %s", what, wrong)
		}
		<-tick.C
	}
}

// output is what a process has written so far.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// process is a running conga.
type process struct {
	name     string
	cmd      *exec.Cmd
	stdin    io.WriteCloser
	out, err output
	done     chan struct{} // closed when it has ended
	ready    map[string]string
}

// launch starts conga as a process of its own, which ends with the test.
func launch(t testing.TB, name string, args ...string) *process {
	t.Helper()
	return launchOn(t, name, func(*exec.Cmd) {}, args...)
}

// launchOn is launch with other streams, or otherwise arranged.
func launchOn(t testing.TB, name string, arrange func(*exec.Cmd), args ...string) *process {
	t.Helper()
	p := &process{name: name, done: make(chan struct{})}
	p.cmd = exec.Command(congaFile, args...)
	p.cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+t.TempDir())
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.err
	arrange(p.cmd)
	if p.cmd.Stdin == nil {
		stdin, err := p.cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		p.stdin = stdin
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // its state tells
	}()
	t.Cleanup(func() {
		p.kill()
		log := p.err.String()
		for _, bad := range []string{"DATA RACE", "panic", "fatal error"} {
			if strings.Contains(log, bad) {
				t.Errorf("%s: %s", p.name, bad)
			}
		}
		if t.Failed() {
			t.Logf("%s: conga %s\nstdout:\n%s\nstderr:\n%s", p.name, strings.Join(args, " "), p.out.String(), tail(log))
		}
	})
	return p
}

// conga runs a command that ends by itself.
func conga(t testing.TB, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	p := launchOn(t, args[0], func(c *exec.Cmd) { c.Stdin = strings.NewReader("") }, args...)
	code = p.exit(t)
	return code, p.out.String(), p.err.String()
}

// tail keeps a failed test's story readable.
func tail(log string) string {
	const most = 8 << 10
	return log[max(0, len(log)-most):]
}

// kill is kill -9; a process that has ended already stays as it is.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

func (p *process) signal(t testing.TB, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatalf("signal %s: %v", p.name, err)
	}
}

// exit waits for the process to end by itself.
func (p *process) exit(t testing.TB) (code int) {
	t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		t.Fatalf("%s does not end", p.name)
		return 0
	}
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// say types a line.
func (p *process) say(t testing.TB, line string) {
	t.Helper()
	if _, err := io.WriteString(p.stdin, line+"\n"); err != nil {
		t.Fatalf("say %s to %s: %v", line, p.name, err)
	}
}

// end types END and waits for the end.
func (p *process) end(t testing.TB) {
	t.Helper()
	p.say(t, "END")
	if code := p.exit(t); code != 0 {
		t.Errorf("%s left with exit %d", p.name, code)
	}
}

var (
	serverReady   = regexp.MustCompile(`^ready requests=(\S+:\d+) stream=(\S+:\d+) http=(\S+:\d+)$`)
	listenerReady = regexp.MustCompile(`^ready relay=(\S+:\d+) http=(\S+:\d+|off)$`)
)

// awaitReady waits for the ready line, which must be the first on stdout.
func (p *process) awaitReady(t testing.TB, form *regexp.Regexp) *process {
	t.Helper()
	eventually(t, p.name+" gets ready", func() string {
		line, _, complete := strings.Cut(p.out.String(), "\n")
		if !complete {
			if p.ended() {
				t.Fatalf("%s ended before it was ready: %s", p.name, p.err.String())
			}
			return "no line yet"
		}
		if !form.MatchString(line) {
			t.Fatalf("the first line of %s is %q", p.name, line)
		}
		p.ready = map[string]string{}
		for _, field := range strings.Fields(line)[1:] {
			key, value, _ := strings.Cut(field, "=")
			p.ready[key] = value
		}
		return ""
	})
	return p
}

func (p *process) requests() string { return p.ready["requests"] }
func (p *process) stream() string   { return p.ready["stream"] }
func (p *process) relay() string    { return p.ready["relay"] }

// launchServer starts a server on free ports; more flags win over the usual ones.
func launchServer(t testing.TB, songs, data string, more ...string) *process {
	t.Helper()
	args := []string{"serve", "--songs", songs, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data", data}
	return launch(t, "server", append(args, more...)...).awaitReady(t, serverReady)
}

// launchListener starts a listener that nobody hears, without waiting for it. It does not decode, which takes most of what a
// listener computes: --output null does.
func launchListener(t testing.TB, server *process, name string, more ...string) *process {
	t.Helper()
	args := []string{"join", server.requests(), "--name", name, "--output", "none", "--listen", "127.0.0.1:0"}
	return launch(t, name, append(args, more...)...)
}

// joinChain starts listeners one after the other, so that they stand in this order.
func joinChain(t testing.TB, server *process, names ...string) []*process {
	t.Helper()
	var chain []*process
	for _, name := range names {
		chain = append(chain, launchListener(t, server, name).awaitReady(t, listenerReady))
	}
	return chain
}

// chainMember is a listener in the server's chain.
type chainMember struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Relay  string `json:"relay"`
	Seed   bool   `json:"seed"`
	FedBy  string `json:"fedBy"`
	Silent bool   `json:"silent"`
}

// songSum, dump and what they hold are the contract with scripts, by its own words.
type songSum struct {
	Song   string `json:"song"`
	First  uint64 `json:"first"`
	Chunks uint64 `json:"chunks"`
	SHA256 string `json:"sha256"`
}

type nodeDump struct {
	Node  string `json:"node"`
	Event uint64 `json:"event"`
	State struct {
		Scheduler struct {
			Playing struct {
				Song string `json:"song"`
			} `json:"playing"`
			Queue []any `json:"queue"`
		} `json:"scheduler"`
		Catalog struct {
			Songs []struct {
				Name string             `json:"name"`
				Form messages.Song_Form `json:"form"`
			} `json:"songs"`
		} `json:"catalog"`
		Pacer struct {
			Song struct {
				Name string `json:"name"`
			} `json:"song"`
		} `json:"pacer"`
		ChainManager struct {
			Chain []chainMember `json:"chain"`
		} `json:"chainManager"`
	} `json:"state"`
	Live struct {
		Pacer struct {
			Next       uint64    `json:"next"`
			SlackMs    int64     `json:"slackMs"`
			BytesSent  int64     `json:"bytesSent"`
			ChunksSent int64     `json:"chunksSent"`
			Songs      []songSum `json:"songs"`
		} `json:"pacer"`
		Relay struct {
			Upstream        string    `json:"upstream"`
			Downstream      []string  `json:"downstream"`
			Next            uint64    `json:"next"`
			Received        int64     `json:"received"`
			Lost            int64     `json:"lost"`
			Twice           int64     `json:"twice"`
			Splices         int64     `json:"splices"`
			LongestSearchMs float64   `json:"longestSearchMs"`
			SlackMs         int64     `json:"slackMs"`
			Songs           []songSum `json:"songs"`
		} `json:"relay"`
		Player struct {
			Underruns   int64   `json:"underruns"`
			Steps       int64   `json:"steps"`
			Song        string  `json:"song"`
			BufferedMs  float64 `json:"bufferedMs"`
			HeardNumber uint64  `json:"heardNumber"`
		} `json:"player"`
		Receipt actors.Receipt `json:"receipt"`
	} `json:"live"`
}

// chain is the names in the server's chain, nearest the server first.
func (d *nodeDump) chain() (names []string) {
	for _, node := range d.State.ChainManager.Chain {
		names = append(names, node.Name)
	}
	return names
}

var errBusy = errors.New("the node asks to be asked again")

var dumper = http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}

// dump asks until the node has answered: one that restarts an actor may ask for patience.
func (p *process) dump(t testing.TB) *nodeDump {
	t.Helper()
	var d *nodeDump
	eventually(t, "dump of "+p.name, func() string {
		var err error
		if d, err = p.tryDump(); err != nil {
			if p.ended() {
				t.Fatalf("%s has ended: %v", p.name, err)
			}
			return err.Error()
		}
		return ""
	})
	return d
}

func (p *process) tryDump() (*nodeDump, error) {
	answer, err := dumper.Get("http://" + p.ready["http"] + "/debug/dump")
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: %s", errBusy, answer.Status)
	}
	d := &nodeDump{}
	if err := json.NewDecoder(answer.Body).Decode(d); err != nil {
		return nil, fmt.Errorf("decode the dump of %s: %w", p.name, err)
	}
	return d, nil
}

// hears waits until the node has received more than it has now.
func (p *process) hears(t testing.TB) time.Duration {
	t.Helper()
	before := p.dump(t).Live.Relay.Received
	return eventually(t, p.name+" hears", func() string {
		if now := p.dump(t).Live.Relay.Received; now <= before {
			return fmt.Sprintf("%d items, as before", now)
		}
		return ""
	})
}

// unhurt checks that nothing was lost and nothing came twice.
func (p *process) unhurt(t testing.TB) {
	t.Helper()
	if r := p.dump(t).Live.Relay; r.Lost != 0 || r.Twice != 0 || r.Received == 0 {
		t.Errorf("%s: received %d, lost %d, twice %d", p.name, r.Received, r.Lost, r.Twice)
	}
}

// leaveSignals are END by other means.
var leaveSignals = map[string]os.Signal{"SIGINT": os.Interrupt, "SIGTERM": syscall.SIGTERM}
