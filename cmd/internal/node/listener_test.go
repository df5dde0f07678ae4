package node

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"conga/actors/player"
)

// Whoever joins a port that says nothing hears after a moment that conga still asks, and ends it without a word of Go.
func TestStartListener_Mute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		output, err := player.ParseOutput("none")
		if err != nil {
			t.Fatal(err)
		}
		var said bytes.Buffer
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
		if said.Len() > 0 {
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
