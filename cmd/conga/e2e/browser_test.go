package e2e

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

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
func browse(t *testing.T, width, height int64, more ...chromedp.ExecAllocatorOption) *browser {
	t.Helper()
	options := append(append(chromedp.DefaultExecAllocatorOptions[:], more...),
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

// click clicks what stands in a list. If the page draws the list anew meanwhile, what was to be clicked is gone, and it
// tries again.
func (b *browser) click(t *testing.T, selector string) {
	t.Helper()
	var err error
	for range 5 {
		if err = chromedp.Run(b, chromedp.Click(selector)); err == nil {
			return
		}
	}
	t.Fatalf("click on %s: %v", selector, err)
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

// ear taps what the page's audio element plays, as samples.
const ear = `window.ear = (() => {
	const context = new AudioContext(), analyser = context.createAnalyser();
	context.createMediaElementSource(document.querySelector('#audio')).connect(analyser);
	analyser.connect(context.destination);
	const samples = new Float32Array(analyser.fftSize);
	return () => {
		analyser.getFloatTimeDomainData(samples);
		return Math.sqrt(samples.reduce((sum, s) => sum + s * s, 0) / samples.length);
	};
})(), true`

// audible is how loud the quietest music of the songs is, at least for a moment: full scale is 1.
const audible = 0.01

// pageOf is what the host is told to open: the text of the QR code, too.
func pageOf(t *testing.T, server *process) string {
	t.Helper()
	open := regexp.MustCompile(`listen in a browser: (\S+)`)
	eventually(t, "the host is told the page's address", func() string {
		if !open.MatchString(server.err.String()) {
			return server.err.String()
		}
		return ""
	})
	return strings.TrimSuffix(open.FindStringSubmatch(server.err.String())[1], ",")
}
