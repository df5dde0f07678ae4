package e2e

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"conga/cmd/internal/congatest"
)

// A guest chooses a file and drops another: both are in the songs, and one is asked for by a click. What is no music is
// refused in words. A server that takes no songs shows nothing of this.
func TestE2E_PageUpload(t *testing.T) {
	chromium(t)
	songs := congatest.Songs(t, map[string]congatest.Cut{"air.mp3": {From: "bach.mp3", First: 100, N: 1300}})
	joy := congatest.Cut{From: "beethoven.mp3", First: 60, N: 100}.Frames(t)
	file := filepath.Join(t.TempDir(), "my song.mp3")
	if err := os.WriteFile(file, append(congatest.Tag("Joy of Zoe", "The Guests"), joy...), 0o600); err != nil {
		t.Fatal(err)
	}
	server := launchServer(t, songs, t.TempDir(), "--accept-uploads")
	b := browse(t, 390, 844)
	b.do(t, chromedp.Navigate(pageOf(t, server)))
	b.until(t, "files may be brought", `!document.querySelector('#bring').hidden && document.querySelectorAll('#songs li').length == 1`)
	b.do(t, chromedp.SetValue("#name", "Zoë"), chromedp.SetUploadFiles("#files", []string{file}, chromedp.ByID))
	b.until(t, "the file is here", `document.querySelector('#brought small')?.textContent == 'is here' && document.querySelector('#bringNote').textContent.includes('Joy of Zoe')`)
	b.until(t, "it is in the songs", `document.querySelector('#songs').textContent.includes('Joy of Zoe')`)
	drop := func(name string, content []byte) {
		b.do(t, chromedp.Evaluate(fmt.Sprintf(`{
			const files = new DataTransfer();
			files.items.add(new File([Uint8Array.from(atob('%s'), c => c.charCodeAt(0))], %q));
			document.querySelector('#drop').dispatchEvent(new DragEvent('drop', { dataTransfer: files, bubbles: true, cancelable: true }));
		}`, base64.StdEncoding.EncodeToString(content), name), nil))
	}
	drop("../dropped.mp3", joy)
	b.until(t, "what was dropped is in the songs", `document.querySelector('#songs').textContent.includes('dropped')`)
	b.do(t, chromedp.SendKeys("#words", "guests"))
	b.until(t, "one song is found", `document.querySelectorAll('#songs li').length == 1`)
	b.click(t, "#songs button")
	b.until(t, "it is in the queue", `document.querySelector('#queue').textContent.includes('Joy of Zoe')`)
	b.click(t, "#brought button") // the newest stands first
	b.until(t, "so is the other", `document.querySelector('#queue').textContent.includes('dropped') && document.querySelector('#bringNote').textContent.includes('in the queue')`)
	b.until(t, "the log tells who has brought it", `document.querySelector('#log').textContent.includes('Zoë (page) has brought “my song”')`)
	b.picture(t, "upload")
	if small := is[float64](t, b, `Math.min(...[...document.querySelectorAll('#bring button')].map(b => b.offsetHeight))`); small < 40 {
		t.Errorf("a button is only %.0f pixels high", small)
	}
	if wide := is[float64](t, b, `document.documentElement.scrollWidth`); wide > 390 {
		t.Errorf("the page is %.0f pixels wide", wide)
	}
	b.mu.Lock()
	for _, trouble := range b.troubles {
		t.Error("the browser complains: ", trouble)
	}
	b.mu.Unlock()
	drop("page.mp3", []byte("<html>this is no music"))
	b.until(t, "what is no music is refused in words", `document.querySelector('#bringNote').textContent.includes('“page.mp3” was not taken: It cannot be played: it is a web page')`)
	drop("again.mp3", joy)
	b.until(t, "what is here is named", `document.querySelector('#bringNote').textContent.includes('here already: PLAY uploads/dropped.mp3')`)
	if code, why, err := conga(t, "why", "uploads/my song.mp3", "--http", server.ready["http"]); code != 0 || !strings.Contains(why, "Zoë (page) brought uploads/my song.mp3") {
		t.Errorf("conga why: %d, %q, %q", code, why, err)
	}
}
