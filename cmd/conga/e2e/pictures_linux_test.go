package e2e

import (
	"bytes"
	"context"
	"fmt"
	"html"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"conga/cmd/internal/congatest"
)

// maxPicture is how much a picture of the README may weigh.
const maxPicture = 170_000

// screen is a program on a terminal of tmux, which knows what is seen there.
type screen struct {
	socket, name string
}

// onScreen runs conga in a terminal of that size, until the test ends.
func onScreen(t *testing.T, socket, name string, width, height int, args ...string) screen {
	t.Helper()
	home := t.TempDir()
	command := []string{
		"-L", socket, "-f", "/dev/null", "new-session", "-d", "-x", fmt.Sprint(width), "-y", fmt.Sprint(height), "-s", name,
		"env", "LANG=C.UTF-8", "LC_ALL=C.UTF-8", "XDG_DATA_HOME=" + home, congaFile,
	}
	if out, err := exec.Command("tmux", append(command, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("tmux: %v: %s", err, out)
	}
	t.Cleanup(func() { // before its folders are removed
		_ = exec.Command("tmux", "-L", socket, "send-keys", "-t", name, "C-c").Run()
		eventually(t, name+" ends", func() string {
			if exec.Command("tmux", "-L", socket, "has-session", "-t", name).Run() == nil {
				return "it is there"
			}
			return ""
		})
	})
	return screen{socket, name}
}

// rows are what is seen, with the colours.
func (s screen) rows(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("tmux", "-L", s.socket, "capture-pane", "-e", "-p", "-t", s.name).CombinedOutput()
	if err != nil {
		t.Fatalf("tmux: %v: %s", err, out)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

// shows waits until the text is seen.
func (s screen) shows(t *testing.T, text string) {
	t.Helper()
	eventually(t, text+" is seen on "+s.name, func() string {
		if seen := sgr.ReplaceAllString(strings.Join(s.rows(t), "\n"), ""); !strings.Contains(seen, text) {
			return seen
		}
		return ""
	})
}

func (s screen) types(t *testing.T, keys ...string) {
	t.Helper()
	if out, err := exec.Command("tmux", append([]string{"-L", s.socket, "send-keys", "-t", s.name}, keys...)...).CombinedOutput(); err != nil {
		t.Fatalf("tmux: %v: %s", err, out)
	}
}

// sgr is how a terminal is told of colours.
var sgr = regexp.MustCompile("\x1b\\[([0-9;]*)m")

// style is how the next characters look.
type style struct {
	bold, faint, reverse bool
	colour               int // of the terminal's palette, from 30; 0: its own
}

func (s *style) take(codes string) {
	for _, code := range strings.Split(codes, ";") {
		switch n, _ := strconv.Atoi(code); { // nothing means 0
		case n == 0:
			*s = style{}
		case n == 1:
			s.bold = true
		case n == 2:
			s.faint = true
		case n == 7:
			s.reverse = true
		case n == 22:
			s.bold, s.faint = false, false
		case n == 27:
			s.reverse = false
		case n >= 30 && n <= 37:
			s.colour = n
		case n == 39:
			s.colour = 0
		}
	}
}

func (s style) class() string {
	words := []string{fmt.Sprint("c", s.colour)}
	for word, is := range map[string]bool{"bold": s.bold, "faint": s.faint, "reverse": s.reverse} {
		if is {
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}

// terminalPage draws rows as a page.
func terminalPage(rows []string) string {
	var b strings.Builder
	b.WriteString(`<!doctype html><meta charset="utf-8"><style>
body { margin: 0; background: #16181d; }
pre { margin: 0; padding: 14px; display: inline-block; font: 14.95px/17px "DejaVu Sans Mono", "Liberation Mono", monospace; color: #d8dbe2; }
.bold { font-weight: 700; color: #fff; } .c31 { color: #ff7b72; } .c32 { color: #7ee787; } .c36 { color: #76d9e6; } .faint { opacity: .62; }
.reverse { background: #d8dbe2; color: #16181d; }</style><pre>`)
	for _, row := range rows {
		now, at := style{}, 0
		write := func(text string) {
			if text != "" {
				fmt.Fprintf(&b, `<span class="%s">%s</span>`, now.class(), html.EscapeString(text))
			}
		}
		for _, found := range sgr.FindAllStringSubmatchIndex(row, -1) {
			write(row[at:found[0]])
			now.take(row[found[2]:found[3]])
			at = found[1]
		}
		write(row[at:])
		b.WriteString("\n")
	}
	return b.String()
}

// keep writes a picture, as small as it gets: a browser's is made in haste.
func keep(t *testing.T, dir, name string, seen []byte) {
	t.Helper()
	image, err := png.Decode(bytes.NewReader(seen))
	if err != nil {
		t.Fatal(err)
	}
	var small bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&small, image); err != nil {
		t.Fatal(err)
	}
	picture := small.Bytes()
	if len(picture) > maxPicture {
		t.Errorf("%s weighs %d bytes, at most %d are good", name, len(picture), maxPicture)
	}
	t.Logf("%s: %d bytes", name, len(picture))
	if err := os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644); err != nil {
		t.Fatal(err)
	}
}

// The pictures of the README, of the real program: `make pictures` writes them into CONGA_TEST_README.
func TestPictures(t *testing.T) {
	dir := os.Getenv("CONGA_TEST_README")
	if dir == "" {
		t.Skip("make pictures makes the pictures of the README")
	}
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Fatal("the pictures of terminals need tmux: sudo apt-get install tmux")
	}
	chromium(t)
	socket := fmt.Sprint("conga-pictures-", os.Getpid())
	serve := onScreen(t, socket, "serve", 120, 40, "serve", "--songs", congatest.Dir, "--listen", ":0", "--http", "off", "--no-mdns", "--data", t.TempDir())
	serve.shows(t, "others join with")
	at := regexp.MustCompile(`browser: http://([^/]+)/`).FindStringSubmatch(strings.Join(serve.rows(t), "\n"))[1]
	for i, name := range []string{"amy", "bob", "cem", "dora"} {
		launch(t, name, "join", at, "--name", name, "--output", "null", "--listen", ":0", "--data", "none")
		serve.shows(t, fmt.Sprint("chain of ", i+1))
	}
	join := onScreen(t, socket, "join", 80, 24, "join", at, "--name", "eve", "--output", "null", "--http", "off", "--data", "none", "--listen", ":0")
	join.shows(t, "feeds you")
	launch(t, "fay", "join", at, "--name", "fay", "--output", "null", "--listen", ":0", "--data", "none")
	join.shows(t, "chain of 6")
	b := browse(t, 1280, 800)
	b.do(t, chromedp.Navigate("http://"+at+"/"))
	b.until(t, "the chain and a song are seen", `document.querySelectorAll('#graph .node').length == 7 && document.querySelector('#progress').value > 150`)
	b.do(t, chromedp.SetValue("#name", "Zoë"), chromedp.Click(`#songs button[data-song="pachelbel.mp3"]`))
	b.until(t, "it is in the queue", `document.querySelector('#queue').textContent.includes('Zoë')`)
	netcat(t, at, "PLAY beethoven\nQUIT\n")
	b.until(t, "so is another", `document.querySelectorAll('#queue li').length == 2`)
	b.until(t, "the buffers are full", `!document.querySelector('#graph .node.low')`)
	for name, size := range map[string][2]int64{"page-desktop": {1100, 680}, "page-phone": {390, 844}} {
		for _, scheme := range []string{"light", "dark"} {
			var seen []byte
			b.do(t, emulation.SetDeviceMetricsOverride(size[0], size[1], 1, size[0] < 500),
				emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}))
			b.until(t, "nothing moves any more", `!moving && scrollY == 0 && Math.abs($('graph').viewBox.baseVal.width - $('graph').clientWidth) < 1`)
			b.do(t, chromedp.CaptureScreenshot(&seen))
			keep(t, dir, name+"-"+scheme, seen)
		}
	}

	large := onScreen(t, socket, "large", 200, 50, "join", at, "--name", "gus", "--output", "null", "--http", "off", "--data", "none", "--listen", ":0")
	large.shows(t, "chain of 7")
	join.types(t, "-l", "ode")
	join.shows(t, "songs with ode")
	join.shows(t, "▸ ")
	demo := onScreen(t, socket, "demo", 100, 30, "demo", "--listeners", "5", "--output", "null")
	demo.shows(t, "emil")
	demo.shows(t, "2.0 s")
	demo.types(t, "Tab", "Tab", "C-k")
	demo.shows(t, "bob is killed")
	demo.shows(t, "cem lost bob")
	b = browse(t, 1900, 1000)
	for _, s := range []screen{serve, join, demo, large} {
		b.terminal(t, dir, s)
	}
}

// terminal keeps what is seen on a terminal.
func (b *browser) terminal(t *testing.T, dir string, s screen) {
	t.Helper()
	var seen []byte
	drawn := filepath.Join(t.TempDir(), "screen.html")
	if err := os.WriteFile(drawn, []byte(terminalPage(s.rows(t))), 0o600); err != nil {
		t.Fatal(err)
	}
	b.do(t, chromedp.Navigate("file://"+drawn))
	box := is[[]float64](t, b, `(r => [r.width, r.height])(document.querySelector('pre').getBoundingClientRect())`)
	b.do(t, chromedp.ActionFunc(func(ctx context.Context) (err error) {
		seen, err = page.CaptureScreenshot().WithClip(&page.Viewport{Width: box[0], Height: box[1], Scale: 1}).Do(ctx)
		return err
	}))
	keep(t, dir, "terminal-"+s.name, seen)
}
