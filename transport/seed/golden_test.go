package seed

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// patience is how long a test waits for what must come; it is never waited out.
const patience = 10 * time.Second

// TestGolden_Client replays what a seed client and our server say to each other, byte for byte.
func TestGolden_Client(t *testing.T) {
	items := append(song(t, 40, 44100, 4, 4, 1), song(t, 44, 48000, 4, 2)...)
	h := openHouse(t, items...)
	var sound []byte
	for _, item := range items {
		sound = append(sound, soundOf(ramps{}.Samples(item))...)
	}
	replay(t, "client.txt", &conversation{port: h.port, sound: sound})
}

// TestGolden_Requests replays requests of clients of which only that connection is known.
func TestGolden_Requests(t *testing.T) {
	replay(t, "requests.txt", &conversation{port: openHouse(t).port})
}

// conversation is a script under way. Its lines:
//
//	NAME dials EXPR         a connection to port EXPR: PORT, PORT+1, …
//	NAME sends "TEXT"       in one go
//	NAME says "TEXT" [N]    exactly that comes, padded to N bytes with spaces
//	NAME plays N…           messages of sound of these lengths come, and the sound goes on
//	NAME closes
//	NAME ends               the other side closes, and says nothing more
//
// In a text {PORT+n} stands for a number.
type conversation struct {
	port  int
	sound []byte
	conns map[string]net.Conn
	in    map[string]*bufio.Reader
}

func replay(t *testing.T, file string, c *conversation) {
	t.Helper()
	script, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	c.begin()
	for n, line := range strings.Split(string(script), "\n") {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := c.step(t, line); err != nil {
			t.Fatalf("%s:%d: %s: %v", file, n+1, line, err)
		}
	}
}

func (c *conversation) begin() {
	c.conns, c.in = map[string]net.Conn{}, map[string]*bufio.Reader{}
}

var portExpr = regexp.MustCompile(`PORT(\+\d+)?`)

func (c *conversation) number(expr string) int {
	more, _ := strconv.Atoi(strings.TrimPrefix(expr, "PORT"))
	return c.port + more
}

func (c *conversation) step(t *testing.T, line string) error {
	name, rest, _ := strings.Cut(line, " ")
	verb, rest, _ := strings.Cut(rest, " ")
	conn, in := c.conns[name], c.in[name]
	if conn != nil {
		_ = conn.SetDeadline(time.Now().Add(patience))
	}
	switch verb {
	case "dials":
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", c.number(rest)))
		if err != nil {
			return err
		}
		t.Cleanup(func() { _ = conn.Close() })
		c.conns[name], c.in[name] = conn, bufio.NewReader(conn)
	case "sends":
		text, _, err := c.text(rest)
		if err == nil {
			_, err = conn.Write(text)
		}
		return err
	case "says":
		want, _, err := c.text(rest)
		if err != nil {
			return err
		}
		return expect(in, want)
	case "plays":
		for _, field := range strings.Fields(rest) {
			n, err := strconv.Atoi(field)
			if err != nil || n > len(c.sound) {
				return fmt.Errorf("%d bytes of sound are left: %v", len(c.sound), err)
			}
			if err := expect(in, append(fmt.Appendf(nil, "SC%-4d", n), c.sound[:n]...)); err != nil {
				return err
			}
			c.sound = c.sound[n:]
		}
	case "closes":
		return conn.Close()
	case "ends":
		if b, err := io.ReadAll(in); err != nil || len(b) > 0 {
			return fmt.Errorf("it says %q, %v", b, err)
		}
	default:
		return fmt.Errorf("no such line")
	}
	return nil
}

// text reads a quoted text and the length to which it is padded.
func (c *conversation) text(s string) (text []byte, rest string, err error) {
	quoted, err := strconv.QuotedPrefix(s)
	if err != nil {
		return nil, "", err
	}
	plain, err := strconv.Unquote(quoted)
	if err != nil {
		return nil, "", err
	}
	plain = regexp.MustCompile(`\{PORT(\+\d+)?\}`).ReplaceAllStringFunc(plain, func(m string) string {
		return strconv.Itoa(c.number(portExpr.FindString(m)))
	})
	rest = strings.TrimSpace(s[len(quoted):])
	width, _ := strconv.Atoi(rest)
	return fmt.Appendf(nil, "%-*s", width, plain), rest, nil
}

func expect(r io.Reader, want []byte) error {
	got := make([]byte, len(want))
	n, err := io.ReadFull(r, got)
	if !bytes.Equal(got[:n], want) {
		return fmt.Errorf("got %.200q, want %.200q (%v)", got[:n], want, err)
	}
	return nil
}
