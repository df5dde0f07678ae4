package e2e

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"conga/cmd/internal/congatest"
)

// maxPage is how much the page may weigh, in bytes as they travel.
const maxPage = 200_000

// chromium is the browser of this machine. Where CI has asked for it, it must be there.
func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CONGA_TEST_PAGE") == "required" {
		t.Fatal("there is no chromium: sudo apt-get install chromium")
	}
	t.Skip("there is no chromium on this machine, so nobody looks at the page: sudo apt-get install chromium")
	return ""
}

// browser is a page in a real Chromium, and what it complained of.
type browser struct {
	context.Context
	mu       sync.Mutex
	troubles []string
	weight   map[network.RequestID]string // its own files, by the request
	bytes    float64
	hosts    map[string]bool // that it asked
}

// browse opens the browser on a fresh profile.
func browse(t *testing.T, width, height int64) *browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium(t)), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox, // CI is root in a container
		chromedp.Flag("autoplay-policy", "user-gesture-required"), chromedp.WindowSize(int(width), int(height)))
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, over := chromedp.NewContext(ctx)
	t.Cleanup(over)
	ctx, late := context.WithTimeout(ctx, 3*patience)
	t.Cleanup(late)
	b := &browser{Context: ctx, weight: map[network.RequestID]string{}, hosts: map[string]bool{}}
	chromedp.ListenTarget(ctx, b.hear)
	if err := chromedp.Run(ctx, network.Enable(), log.Enable(), runtime.Enable(),
		emulation.SetDeviceMetricsOverride(width, height, 1, width < 500)); err != nil {
		t.Fatal("start chromium: ", err)
	}
	return b
}

func (b *browser) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch event := event.(type) {
	case *runtime.EventExceptionThrown:
		b.troubles = append(b.troubles, event.ExceptionDetails.Error())
	case *runtime.EventConsoleAPICalled:
		if event.Type == runtime.APITypeError || event.Type == runtime.APITypeWarning {
			b.troubles = append(b.troubles, fmt.Sprint("console: ", event.Args))
		}
	case *log.EventEntryAdded:
		if event.Entry.Level == log.LevelError || event.Entry.Level == log.LevelWarning {
			b.troubles = append(b.troubles, event.Entry.Text+" "+event.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		if at, err := url.Parse(event.Request.URL); err == nil && at.Host != "" {
			b.hosts[at.Host] = true
			switch at.Path {
			case "/", "/app.js", "/style.css", "/icon.svg":
				b.weight[event.RequestID] = at.Path
			}
		}
	case *network.EventLoadingFinished:
		if b.weight[event.RequestID] != "" {
			b.bytes += event.EncodedDataLength
		}
	}
}

// do acts on the page.
func (b *browser) do(t *testing.T, actions ...chromedp.Action) {
	t.Helper()
	if err := chromedp.Run(b, actions...); err != nil {
		t.Fatal(err)
	}
}

// is asks the page for a value.
func is[T any](t *testing.T, b *browser, script string) (value T) {
	t.Helper()
	b.do(t, chromedp.Evaluate(script, &value))
	return value
}

// until waits for a script to be true.
func (b *browser) until(t *testing.T, what, script string) time.Duration {
	t.Helper()
	return eventually(t, what, func() string {
		if is[bool](t, b, script) {
			return ""
		}
		return "not yet: " + is[string](t, b, "document.body.innerText")
	})
}

// picture keeps what is seen where somebody wants to look: CONGA_TEST_PICTURES=FOLDER.
func (b *browser) picture(t *testing.T, name string) {
	t.Helper()
	dir := os.Getenv("CONGA_TEST_PICTURES")
	if dir == "" {
		return
	}
	for _, scheme := range []string{"light", "dark"} {
		var seen []byte
		b.do(t, emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
			chromedp.FullScreenshot(&seen, 100))
		if err := os.WriteFile(filepath.Join(dir, name+"-"+scheme+".png"), seen, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// In a real browser on a fresh profile: a guest sees what plays, asks for a song by a click and sees it in the queue, listens,
// and sees a node go that is killed.
func TestE2E_Page(t *testing.T) {
	chromium(t) // before anything is started
	server := launchServer(t, congatest.Dir, t.TempDir())
	chain := joinChain(t, server, "amy", "bob", "cem", "dora", "eve")
	b := browse(t, 1280, 800)
	start := time.Now()
	b.do(t, chromedp.Navigate("http://"+server.requests()+"/"))
	b.until(t, "the line is seen", `document.querySelectorAll('#graph .node').length == 6 && document.querySelectorAll('#lineWords li').length == 5`)
	b.until(t, "the song is seen", `document.querySelector('#nowTitle').textContent != 'Nothing yet' && document.querySelector('#progress').value > 0`)
	b.until(t, "the songs are seen", `document.querySelectorAll('#songs li').length == 3`)

	b.do(t, chromedp.SendKeys("#words", "canon"), chromedp.SetValue("#name", "Zoë <b>"))
	b.until(t, "one song is found", `document.querySelectorAll('#songs li').length == 1`)
	b.do(t, chromedp.Click("#songs button"))
	b.until(t, "the request is in the queue", `document.querySelector('#queue').textContent.includes('Canon in D') && document.querySelector('#queue').textContent.includes('Zoë <b> (page)')`)
	b.until(t, "the guest is told", `document.querySelector('#answer').textContent.includes('It is in the queue')`)
	if got := netcat(t, server.requests(), "REQUESTS\nQUIT\n"); !strings.HasPrefix(got, "1. pachelbel.mp3\n") {
		t.Errorf("the server's queue: %q", got)
	}

	b.do(t, chromedp.Click("#listen"))
	sound := b.until(t, "the audio element's clock moves", `document.querySelector('#audio').currentTime > 1`)
	// What the browser has decoded is not silence: it says so itself.
	decoded := is[float64](t, b, `document.querySelector('#audio').webkitAudioDecodedByteCount`)
	t.Logf("from the address to sound: %v, of which %v after the click; %.0f bytes of audio decoded", time.Since(start), sound, decoded)
	if decoded == 0 {
		t.Error("the browser has decoded nothing")
	}
	b.picture(t, "desktop")

	chain[1].kill()
	b.until(t, "bob is seen to go", `document.querySelectorAll('#graph .node').length == 5 && !document.querySelector('#lineWords').textContent.includes('bob')`)
	b.until(t, "cem hears from amy", `document.querySelector('#lineWords').textContent.includes('cem hears from amy')`)
	b.until(t, "the log tells it", `document.querySelector('#log').textContent.includes('bob was lost')`)
	at := is[float64](t, b, `document.querySelector('#audio').currentTime`)
	b.until(t, "the music plays on", fmt.Sprintf(`document.querySelector('#audio').currentTime > %f + 1`, at))

	// Back to when bob was there, and to now again.
	b.do(t, chromedp.Evaluate(`[...document.querySelectorAll('#log li')].find(li => li.textContent.includes('eve came')).querySelector('button').click()`, nil))
	b.until(t, "the past is seen", `!document.querySelector('#past').hidden && document.querySelector('#lineWords').textContent.includes('bob')`)
	b.picture(t, "past")
	b.do(t, chromedp.Click("#backToNow"))
	b.until(t, "it is now again", `document.querySelector('#past').hidden && !document.querySelector('#lineWords').textContent.includes('bob')`)

	b.mu.Lock()
	defer b.mu.Unlock()
	t.Logf("the page weighs %.0f bytes", b.bytes)
	if b.bytes == 0 || b.bytes > maxPage {
		t.Errorf("the page weighs %.0f bytes, at most %d are good", b.bytes, maxPage)
	}
	for _, trouble := range b.troubles {
		t.Error("the browser complains: ", trouble)
	}
	for host := range b.hosts {
		if host != server.requests() {
			t.Errorf("the page asked %s", host)
		}
	}
}

// On a phone nothing is wider than the screen, and all that can be touched is large enough.
func TestE2E_PagePhone(t *testing.T) {
	chromium(t)
	server := launchServer(t, congatest.Dir, t.TempDir())
	joinChain(t, server, "amy", "bob", "cem", "dora")
	b := browse(t, 390, 844)
	b.do(t, chromedp.Navigate("http://"+server.requests()+"/"))
	b.until(t, "the page is there", `document.querySelectorAll('#songs button').length == 3 && document.querySelectorAll('#graph .node').length == 5`)
	if wide := is[float64](t, b, `document.documentElement.scrollWidth`); wide > 390 {
		t.Errorf("the page is %.0f pixels wide", wide)
	}
	if small := is[float64](t, b, `Math.min(...[...document.querySelectorAll('main button:not(#log button)')].filter(b => b.offsetHeight).map(b => b.offsetHeight))`); small < 40 {
		t.Errorf("a button is only %.0f pixels high", small)
	}
	unnamed := is[string](t, b, `[...document.querySelectorAll('button, input')].filter(e => !(e.textContent.trim() || e.ariaLabel || e.labels && e.labels.length)).map(e => e.outerHTML).join()`)
	if unnamed != "" {
		t.Errorf("a screen reader has no name for %s", unnamed)
	}
	b.picture(t, "phone")
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, trouble := range b.troubles {
		t.Error("the browser complains: ", trouble)
	}
}
