package node

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"conga/actors/player"
)

// told is what a logger has written, by whatever goroutine.
type told struct {
	mu   sync.Mutex
	text string
}

func (l *told) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text += string(p)
	return len(p), nil
}

func (l *told) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text
}

// If a port says nothing, conga says after a moment that it is still asking. When the join is ended, the error has no words
// of Go.
func TestStartListener_Mute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		output, err := player.ParseOutput("none")
		if err != nil {
			t.Fatal(err)
		}
		var said told
		done := make(chan error)
		go func() {
			_, err := StartListener(ctx, ListenerOptions{
				Server: "mute.example:7000", Name: "amy", Output: output, Logger: slog.New(slog.NewTextHandler(&said, nil)),
				Dial: func(ctx context.Context, _ string) (net.Conn, error) {
					<-ctx.Done()
					return nil, ctx.Err()
				},
			})
			done <- err
		}()
		time.Sleep(sayAfter - time.Second)
		synctest.Wait()
		if said.String() != "" {
			t.Errorf("at once it says %q", &said)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if !strings.Contains(said.String(), "no answer yet, still asking; Ctrl-C ends it") {
			t.Errorf("it says %q", &said)
		}
		cancel()
		if err := <-done; err == nil || err.Error() != "stopped before mute.example:7000 answered" {
			t.Errorf("it ends with %v", err)
		}
	})
}
