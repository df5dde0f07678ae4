package e2e

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"conga/cmd/internal/congatest"
)

// maxPage is how much the page may weigh, in bytes as they travel.
const maxPage = 200_000

// In a real browser on a fresh profile: a guest sees what plays, asks for a song by a click and sees it in the queue, listens,
// and sees a node go that is killed.
func TestE2E_Page(t *testing.T) {
	chromium(t) // before anything is started
	server := launchServer(t, congatest.Dir, t.TempDir())
	chain := joinChain(t, server, "amy", "bob", "cem", "dora", "eve")
	b := browse(t, 1280, 800)
	b.do(t, chromedp.Navigate(pageOf(t, server)))
	b.until(t, "the line is seen", `document.querySelectorAll('#graph .node').length == 6 && document.querySelectorAll('#lineWords li').length == 5`)
	b.until(t, "each node's error is seen, and how well it knows it", `[...document.querySelectorAll('#lineWords li')].every(li => li.textContent.includes('as far as it knows the clock')) && [...document.querySelectorAll('#graph .skew')].filter(e => e.textContent.includes('±')).length == 5`)
	b.until(t, "the song is seen", `document.querySelector('#nowTitle').textContent != 'Nothing yet' && document.querySelector('#progress').value > 0`)
	b.until(t, "the songs are seen", `document.querySelectorAll('#songs li').length == 3`)

	b.do(t, chromedp.SendKeys("#words", "canon"), chromedp.SetValue("#name", "Zoë <b>"))
	b.until(t, "one song is found", `document.querySelectorAll('#songs li').length == 1`)
	b.click(t, "#songs button")
	b.until(t, "the request is in the queue", `document.querySelector('#queue').textContent.includes('Canon in D') && document.querySelector('#queue').textContent.includes('Zoë <b> (page)')`)
	b.until(t, "the guest is told", `document.querySelector('#answer').textContent.includes('in the queue')`)
	if got := netcat(t, server.requests(), "REQUESTS\nQUIT\n"); !strings.HasPrefix(bare(got), "1. pachelbel.mp3\n") {
		t.Errorf("the server's queue: %q", got)
	}

	b.do(t, chromedp.Click("#listen"))
	b.until(t, "the audio element's clock moves", `document.querySelector('#audio').currentTime > 1`)
	b.do(t, chromedp.Evaluate(ear, nil))
	b.until(t, "there is sound in the samples", fmt.Sprintf(`ear() > %f`, audible))
	b.do(t, chromedp.Click("#listen"))
	b.until(t, "after Stop there is none", `ear() == 0`)
	b.do(t, chromedp.Click("#listen"))
	b.until(t, "there is again", fmt.Sprintf(`ear() > %f`, audible))
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
	b.do(t, chromedp.Click("#hearPast"))
	b.until(t, "the past is heard", fmt.Sprintf(`document.querySelector('#listenNote').textContent.startsWith('You hear the past') && ear() > %f`, audible))
	b.picture(t, "past")
	b.do(t, chromedp.Click("#backToNow"))
	b.until(t, "it is now again", `document.querySelector('#past').hidden && !document.querySelector('#lineWords').textContent.includes('bob')`)
	b.do(t, chromedp.Click("#fromStart"))
	b.until(t, "the song is heard from its beginning", fmt.Sprintf(`document.querySelector('#listenNote').textContent.startsWith('You hear the past') && audio.currentTime > 0 && ear() > %f`, audible))
	b.picture(t, "beginning")

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

// A guest takes its own request back and votes for the next song; another browser cannot cancel what it has not asked for.
func TestE2E_PageCancelSkip(t *testing.T) {
	chromium(t)
	server := launchServer(t, congatest.Dir, t.TempDir(), "--skip-votes", "1")
	b := browse(t, 1280, 800)
	b.do(t, chromedp.Navigate(pageOf(t, server)))
	b.until(t, "the songs are seen", `document.querySelectorAll('#songs li').length == 3`)
	b.do(t, chromedp.SendKeys("#words", "canon"))
	b.until(t, "one song is found", `document.querySelectorAll('#songs li').length == 1`)
	b.click(t, "#songs button")
	b.until(t, "it can be cancelled", `document.querySelector('#queue button')?.textContent == 'Cancel'`)
	if got := netcat(t, server.requests(), "CANCEL 1\n"); got != "Somebody else asked for that song: only they may cancel it\n" {
		t.Errorf("another person cancels: %q", got)
	}
	b.picture(t, "cancel")
	b.click(t, "#queue button")
	b.until(t, "it is gone", `document.querySelectorAll('#queue li').length == 0 && document.querySelector('#answer').textContent.includes('has been cancelled')`)
	b.until(t, "the song can be skipped", `!document.querySelector('#skip').hidden`)
	song := is[string](t, b, `document.querySelector('#nowTitle').textContent`)
	b.until(t, "it is skipped", `document.querySelector('#answer').textContent.includes('is skipped') || (document.querySelector('#skip').click(), false)`)
	b.until(t, "another song is heard", fmt.Sprintf(`document.querySelector('#nowTitle').textContent != %q`, song))
	for _, trouble := range b.troubles {
		if !strings.Contains(trouble, "409") { // a vote before its song is heard
			t.Error("the browser complains: ", trouble)
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

// A guest's way, from the text of the host's QR code to sound, in a browser that has never been here.
func TestE2E_PageGuestsWay(t *testing.T) {
	chromium(t)
	server := launchServer(t, congatest.Dir, t.TempDir())
	code := pageOf(t, server)
	b := browse(t, 390, 844)
	start := time.Now()
	b.do(t, chromedp.Navigate(code), chromedp.WaitVisible("#listen"))
	seen := time.Since(start)
	b.do(t, chromedp.Click("#listen"), chromedp.Evaluate(ear, nil))
	b.until(t, "there is sound", fmt.Sprintf(`ear() > %f`, audible))
	t.Logf("from the QR code's text to sound: %v; the button was there after %v", time.Since(start).Round(time.Millisecond), seen.Round(time.Millisecond))
}

// With a token the page asks for it; a link may bring it. Then it is as any other page, and plays.
func TestE2E_PageDoor(t *testing.T) {
	chromium(t)
	t.Setenv("CONGA_AUTH", "open sesame")
	server := launchServer(t, congatest.Dir, t.TempDir())
	// Nobody has signed this server's certificate: people would have to click through a warning.
	b := browse(t, 390, 844, chromedp.Flag("ignore-certificate-errors", true))
	at := pageOf(t, server)
	b.do(t, chromedp.Navigate("http://"+server.requests()+"/"), chromedp.WaitVisible("#token"))
	if got := is[string](t, b, `location.href`); got != at || !strings.HasPrefix(at, "https://") {
		t.Errorf("the token is asked for at %s, and the host is told %s", got, at)
	}
	b.picture(t, "door")
	b.do(t, chromedp.SendKeys("#token", "guess\r"))
	b.until(t, "it says that this is wrong", `document.querySelector('#answer').textContent.includes("not this server's token")`)
	b.do(t, chromedp.Navigate("about:blank"), chromedp.Navigate(at+"#open%20sesame"), chromedp.WaitVisible("#listen"))
	if got := is[string](t, b, `location.href + document.cookie`); got != at {
		t.Errorf("the token or the pass is seen: %s", got)
	}
	b.until(t, "the songs are seen", `document.querySelectorAll('#songs li').length == 3`)
	b.do(t, chromedp.Click("#listen"), chromedp.Evaluate(ear, nil))
	b.until(t, "there is sound", fmt.Sprintf(`ear() > %f`, audible))
	b.do(t, chromedp.Navigate("about:blank"), chromedp.Navigate(at), chromedp.WaitVisible("#listen")) // the cookie is enough
}

var manySongs = flag.Int("page-songs", 2000, "songs of the radio whose page is searched")

// Also with many songs the page finds one as somebody types, and holds only what can be seen.
func TestE2E_PageManySongs(t *testing.T) {
	chromium(t)
	songs := t.TempDir()
	music := congatest.Cut{From: "bach.mp3", First: 100, N: 40}.Frames(t)
	for i := range *manySongs {
		tag := congatest.Tag(fmt.Sprintf("Song number %d of the evening", i), fmt.Sprintf("Band %d", i%100))
		if err := os.WriteFile(filepath.Join(songs, fmt.Sprintf("%05d.mp3", i)), append(tag, music...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server := launchServer(t, songs, t.TempDir())
	b := browse(t, 1280, 800)
	b.do(t, chromedp.Navigate(pageOf(t, server)))
	b.until(t, "all songs are known", fmt.Sprintf(`document.querySelector('#state').textContent.includes('%d songs')`, *manySongs))
	b.until(t, "some songs are seen", `document.querySelectorAll('#songs li').length > 10`)
	if rows := is[int](t, b, `document.querySelectorAll('#songs li').length`); rows > 100 {
		t.Errorf("the page holds %d rows", rows)
	}
	// From the key to the row: by the page's own clock.
	b.do(t, chromedp.Evaluate(`document.querySelector('#words').addEventListener('keydown', () => { window.pressed = performance.now(); });
		new MutationObserver(() => { window.changed = performance.now(); }).observe(document.querySelector('#songs'), { childList: true }); true`, nil))
	asks := func(words string) {
		t.Helper()
		b.do(t, chromedp.Evaluate(`document.querySelector('#words').value = ''`, nil), chromedp.SendKeys("#words", words))
		b.until(t, "the answer is seen", `window.changed > window.pressed`)
		t.Logf("%d songs: %q is answered %.0f ms after the last key", *manySongs, words, is[float64](t, b, `window.changed - window.pressed`))
	}
	last := *manySongs - 1
	for _, words := range []string{fmt.Sprint("number ", last, " "), fmt.Sprint("band 99 ", last)} {
		asks(words)
		b.until(t, "the song is found", fmt.Sprintf(`document.querySelectorAll('#songs li').length == 1 && document.querySelector('#songs').textContent.includes('number %d ')`, last))
	}
	asks("evening")
	if rows := is[int](t, b, `document.querySelectorAll('#songs li').length`); rows < 10 || rows > 100 {
		t.Errorf("of many the page holds %d rows", rows)
	}
}

// Where a song has another sample rate the page's music goes on by itself. How long the gap is, is told.
func TestE2E_PageOtherRate(t *testing.T) {
	chromium(t)
	songs := congatest.Songs(t, map[string]congatest.Cut{
		"air.mp3": {From: "bach.mp3", First: 100, N: 200}, "joy.mp3": {From: "beethoven.mp3", First: 60, N: 200},
	})
	server := launchServer(t, songs, t.TempDir())
	b := browse(t, 1280, 800)
	b.do(t, chromedp.Navigate(pageOf(t, server)), chromedp.WaitVisible("#listen"), chromedp.Click("#listen"), chromedp.Evaluate(ear, nil))
	b.until(t, "there is sound", fmt.Sprintf(`ear() > %f`, audible))
	b.do(t, chromedp.Evaluate(fmt.Sprintf(`window.gaps = []; window.heard = performance.now(); setInterval(() => {
		const now = performance.now();
		if (ear() <= %f) return;
		if (now - heard > 60) gaps.push(Math.round(now - heard));
		heard = now;
	}, 10), true`, audible/100), nil))
	b.until(t, "the rate has changed three times, and there is sound", fmt.Sprintf(`Number(new URL(document.querySelector('#audio').src).searchParams.get('try')) >= 3 && ear() > %f`, audible))
	t.Logf("gaps at three changes of the rate, in ms: %s", is[string](t, b, `gaps.join(' ')`))
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, trouble := range b.troubles {
		t.Error("the browser complains: ", trouble)
	}
}

// The page plays a song as loud as its ReplayGain tag wants, from where that song begins to where it ends.
func TestE2E_PageLoudness(t *testing.T) {
	chromium(t)
	songs := congatest.Songs(t, map[string]congatest.Cut{"plain.mp3": {From: "bach.mp3", First: 100, N: 200}})
	quiet := append(congatest.Tag("Quiet", "", "REPLAYGAIN_TRACK_GAIN=-12.00 dB"), congatest.Cut{From: "beethoven.mp3", First: 60, N: 200}.Frames(t)...)
	if err := os.WriteFile(filepath.Join(songs, "quiet.mp3"), quiet, 0o600); err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(songs, "both.m3u")
	if err := os.WriteFile(list, []byte("plain.mp3\nquiet.mp3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server := launchServer(t, songs, t.TempDir(), "--playlist", list)
	b := browse(t, 1280, 800)
	b.do(t, chromedp.Navigate(pageOf(t, server)), chromedp.WaitVisible("#listen"), chromedp.Click("#listen"))
	// What is heard when the volume changes, by the events of the broadcast and the audio element's clock.
	b.do(t, chromedp.Evaluate(`window.seen = []; setInterval(() => {
		const volume = audio.volume.toFixed(3);
		if (audio.currentTime > 0 && (!seen.length || seen[seen.length - 1][0] !== volume)) seen.push([volume, begun + audio.currentTime * 1000]);
	}, 20), true`, nil))
	b.until(t, "it has changed three times", `seen.length >= 4`)
	if got := is[string](t, b, `seen.slice(1, 4).map(s => s[0]).sort().join(' ')`); got != "0.226 0.226 0.900" && got != "0.226 0.900 0.900" {
		t.Errorf("volumes %s; of %s", got, is[string](t, b, `JSON.stringify(seen)`))
	}
	late := is[float64](t, b, `Math.max(...seen.slice(1, 4).map(s => Math.min(...levels.map(l => s[1] - l.at).filter(d => d >= -1)))) || 0`)
	t.Logf("the volume changes at most %.0f ms behind the song", late)
}

// Over https a browser that trusts the operator's certificate shows the page without a complaint, and plays: from the server
// while no node encrypts, then from one that does, whose certificate has a name.
func TestE2E_PageHTTPS(t *testing.T) {
	chromium(t)
	cert, key := congatest.Certify(t, t.TempDir(), time.Now().Add(time.Hour), "localhost")
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	trusted := sha256.Sum256(pair.Leaf.RawSubjectPublicKeyInfo) // this certificate and no other
	b := browse(t, 1280, 800, chromedp.Flag("ignore-certificate-errors-spki-list", base64.StdEncoding.EncodeToString(trusted[:])))
	server := launchServer(t, congatest.Dir, t.TempDir(), "--tls-cert", cert, "--tls-key", key)
	launchListener(t, server, "amy", "--players", "9").awaitReady(t, listenerReady) // whose port does not encrypt
	b.do(t, chromedp.Navigate("https://"+server.requests()+"/"))
	b.until(t, "the chain and the songs are seen", `document.querySelectorAll('#graph .node').length == 2 && document.querySelectorAll('#songs li').length == 3`)
	b.do(t, chromedp.Click("#listen"), chromedp.Evaluate(ear, nil))
	b.until(t, "there is sound", fmt.Sprintf(`ear() > %f`, audible))
	launchListener(t, server, "bob", "--players", "9", "--tls-cert", cert, "--tls-key", key).awaitReady(t, listenerReady)
	b.until(t, "bob offers to play", `Object.values(live.vitals || {}).filter(v => v[3] == 9).length == 2`)
	b.do(t, chromedp.Click("#listen"), chromedp.Click("#listen"))
	b.until(t, "bob plays for the page", `part('chain').nodes.some(n => n.name == 'bob' && (live.vitals[n.id] || [])[2] == 1)`)
	at := is[float64](t, b, `document.querySelector('#audio').currentTime`) // samples of another port cannot be read
	b.until(t, "the music plays", fmt.Sprintf(`document.querySelector('#audio').currentTime > %f + 1`, at))
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, trouble := range b.troubles {
		t.Error("the browser complains: ", trouble)
	}
}
