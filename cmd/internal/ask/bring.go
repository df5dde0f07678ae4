package ask

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"conga/cmd/internal/cli"
)

const (
	// stands is how long nothing of a file may go out, and isChecked how long the radio may take to check it.
	stands, isChecked = 30 * time.Second, 3 * time.Minute
)

// Brought is a song that a radio has, now or before.
type Brought struct {
	Song  string `json:"song"` // empty: only Text names it
	Title string `json:"title"`
	Text  string `json:"text"`
}

// Bring brings a file of this machine. sent is told how much of it is gone.
func (r *Radio) Bring(ctx context.Context, file, by string, sent func(sent, size int64)) (brought Brought, err error) {
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
	if r.client == nil {
		if err := r.enter(ctx); err != nil {
			return brought, err
		}
	}
	query := url.Values{"name": {filepath.Base(file)}, "bytes": {strconv.FormatInt(info.Size(), 10)}, "by": {by}}
	path := "/upload?" + query.Encode()
	body, code, err := r.do(ctx, http.MethodGet, path, nil) // who is refused while sending may not hear why
	if err == nil && code == http.StatusOK {
		body, code, err = r.send(ctx, path, f, info.Size(), sent)
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
		return brought, fmt.Errorf("%s does not answer like this version of conga: %w", r.Ring.Server, err)
	}
	return brought, nil
}

// send puts the file. A line on which nothing goes is given up.
func (r *Radio) send(ctx context.Context, path string, file io.Reader, size int64, sent func(sent, size int64)) (body []byte, code int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch := time.AfterFunc(stands, cancel)
	defer watch.Stop()
	told := int64(0)
	counted := readFunc(func(b []byte) (int, error) {
		n, err := file.Read(b)
		told += int64(n)
		watch.Reset(stands)
		if told >= size {
			watch.Reset(isChecked)
		}
		sent(told, size)
		return n, err
	})
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, "https://127.0.0.1"+path, io.NopCloser(counted))
	if err != nil {
		return nil, 0, err
	}
	request.ContentLength = size
	answer, err := r.client.Do(request)
	if err != nil {
		if away := (cli.NotReached{}); errors.As(err, &away) {
			return nil, 0, away
		}
		if wrapped := (*url.Error)(nil); errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return nil, 0, fmt.Errorf("the connection to %s broke off, try again: %w", r.Ring.Server, err)
	}
	defer answer.Body.Close()
	body, err = io.ReadAll(&bounded{answer.Body, maxAnswer})
	return body, answer.StatusCode, err
}

// readFunc is a function that reads.
type readFunc func([]byte) (int, error)

// Read reads.
func (f readFunc) Read(b []byte) (int, error) { return f(b) }
