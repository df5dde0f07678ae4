package ask

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

const (
	// stands is how long nothing of a file may go out, and how long the radio may say nothing while it checks it.
	stands = 30 * time.Second
	// asksAgain is how often the radio is asked how far it is.
	asksAgain = time.Second
)

// Brought is a song that a radio has, now or before.
type Brought struct {
	Song  string `json:"song"` // empty: only Text names it
	Title string `json:"title"`
	Text  string `json:"text"`
}

// Bring brings a file of this machine. says is told in words what happens to it: how much is sent, then where it is in the line of
// those that are checked. It is called by one goroutine at a time.
func (r *Radio) Bring(ctx context.Context, file, by string, says func(string)) (brought Brought, err error) {
	f, err := os.Open(file)
	if err != nil {
		return brought, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	info, err := f.Stat()
	switch {
	case err != nil:
		return brought, err
	case !info.Mode().IsRegular():
		return brought, fmt.Errorf("%s is no file: name each song", file)
	}
	id := rand.Text()
	query := url.Values{"name": {filepath.Base(file)}, "bytes": {strconv.FormatInt(info.Size(), 10)}, "by": {by}, "id": {id}}
	path := "/upload?" + query.Encode()
	var body []byte
	var code int
	err = r.anywhere(ctx, func() (err error) {
		body, code, err = r.do(ctx, http.MethodGet, path, nil) // who is refused while sending may not hear why
		return err
	})
	if err == nil && code == http.StatusOK {
		body, code, err = r.send(ctx, path, f, info.Size(), &progress{id: id, says: says})
	}
	switch {
	case err != nil:
		return brought, err
	case code == http.StatusConflict: // it has it
		var said struct{ Error string }
		err = json.Unmarshal(body, &said)
		return Brought{Text: said.Error}, err
	case code != http.StatusOK:
		return brought, r.refused(code, body)
	}
	if err := json.Unmarshal(body, &brought); err != nil {
		return brought, fmt.Errorf("%s does not answer like this version of conga: %w", r.server(), err)
	}
	return brought, nil
}

// progress says what happens to a file that is brought.
type progress struct {
	id string

	mu   sync.Mutex
	says func(string)
}

func (p *progress) say(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.says(text)
}

// sent says how much was sent.
func (p *progress) sent(sent, size int64) {
	if sent < size {
		p.say(fmt.Sprintf("%d %%", 100*sent/max(size, 1)))
		return
	}
	p.say("is checked")
}

// follow says where the file is in the line, until ctx ends. heard is called at each answer.
func (r *Radio) follow(ctx context.Context, of *progress, heard func()) {
	again := time.NewTicker(asksAgain)
	defer again.Stop()
	for {
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
		body, code, err := r.do(ctx, http.MethodGet, "/upload?id="+of.id, nil)
		var now struct{ Text string }
		if err != nil || code != http.StatusOK || json.Unmarshal(body, &now) != nil {
			continue
		}
		if heard(); now.Text != "" {
			of.say(now.Text)
		}
	}
}

// send puts the file. A line on which nothing goes is given up.
func (r *Radio) send(ctx context.Context, path string, file io.Reader, size int64, on *progress) (body []byte, code int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	watch := time.AfterFunc(stands, cancel)
	defer watch.Stop()
	whole := make(chan struct{})
	isWhole := sync.OnceFunc(func() { close(whole) })
	var following sync.WaitGroup
	defer following.Wait()
	defer cancel()
	following.Go(func() {
		select {
		case <-whole:
			r.follow(ctx, on, func() { watch.Reset(stands) })
		case <-ctx.Done():
		}
	})
	told := int64(0)
	counted := readFunc(func(b []byte) (int, error) {
		n, err := file.Read(b)
		told += int64(n)
		watch.Reset(stands)
		if n > 0 {
			on.sent(told, size)
		}
		if told >= size {
			isWhole()
		}
		return n, err
	})
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, "https://127.0.0.1"+path, io.NopCloser(counted))
	if err != nil {
		return nil, 0, err
	}
	request.ContentLength = size
	return r.answered(request, fmt.Sprintf("the connection to %s broke off, try again", r.server()))
}

// readFunc is a function that reads.
type readFunc func([]byte) (int, error)

// Read reads.
func (f readFunc) Read(b []byte) (int, error) { return f(b) }
