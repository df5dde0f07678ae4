package seed

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"conga/messages"
	"conga/transport"
	"conga/transport/seed/seedtest"
)

// tuned is a listener of a server of 2016, as far as its music has begun.
func tuned(t *testing.T) (*seedtest.Server, *Radio, net.Conn) {
	t.Helper()
	server, err := seedtest.Serve([]string{"a.mp3"}, [][]byte{soundOf(ramp(100))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	r, err := Tune(t.Context(), server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	r.Listening()
	music, err := r.Stream(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = music.Close() })
	if _, err := music.Write(frame(messages.KindHi, nil)); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(music)
	for range 3 { // HI, NS, SC
		if _, err := transport.ReadFrame(in); err != nil {
			t.Fatal(err)
		}
	}
	return server, r, music
}

// When Close returns, the program above has had an end, and only then the reset that its music on
// the way brings: the one it survives, a reset alone breaks it.
func TestRadio_CloseEnds(t *testing.T) {
	server, r, _ := tuned(t)
	_ = r.Close()
	eventually(t, func() string {
		if err := server.Err(); !errors.Is(err, syscall.EPIPE) {
			return fmt.Sprintf("the server's music ended with %v", err)
		}
		return ""
	})
}

// What was said just before Close the server still hears.
func TestRadio_LastWord(t *testing.T) {
	server, r, _ := tuned(t)
	lines, err := r.Requests(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := write(lines, &messages.LeaveChain{}); err != nil {
		t.Fatal(err)
	}
	_ = lines.Close()
	_ = r.Close()
	eventually(t, func() string {
		if said := server.Said(); len(said) != 1 || !strings.HasPrefix(said[0], sayLeave) {
			return fmt.Sprintf("the server has heard %q", said)
		}
		return ""
	})
}

// The server has a thread that plays and one that hears of leaving. Whoever it feeds must not be gone before the second has told
// the first, however late that is.
func TestRadio_ServerEndsTheStream(t *testing.T) {
	server, r, music := tuned(t)
	server.Late(100 * time.Millisecond)
	lines, err := r.Requests(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := write(lines, &messages.LeaveChain{}); err != nil {
		t.Fatal(err)
	}
	if _, err := lines.Read(make([]byte, 1)); !errors.Is(err, io.EOF) { // then a listener ends its actors, and with them the music
		t.Fatal(err)
	}
	_ = music.Close()
	_ = r.Close()
	if err := server.Err(); err != nil || len(server.Said()) != 1 {
		t.Errorf("the server has heard %q, and its music ended with %v", server.Said(), err)
	}
}

// Who has told the server that he leaves does not come to it again: it would take him for half of a
// newcomer.
func TestRadio_LeavesOnce(t *testing.T) {
	server, r, _ := tuned(t)
	lines, err := r.Requests(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer lines.Close()
	if err := write(lines, &messages.LeaveChain{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() string {
		if said := server.Said(); len(said) != 1 || !strings.HasPrefix(said[0], sayLeave) {
			return fmt.Sprintf("the server has heard %q", said)
		}
		return ""
	})
	if again, err := r.Stream(context.Background(), ""); err == nil {
		_ = again.Close()
		t.Error("it comes for more music")
	}
}

// Whatever is no server of 2016, the listener is told in words, with what to do.
func TestTune_NoServer(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		says string
	}{
		"silence":          {&net.OpError{Op: "read", Net: "tcp", Err: os.ErrDeadlineExceeded}, "it says nothing"},
		"an end":           {io.EOF, "it ends the connection"},
		"rubbish":          {fmt.Errorf("packet %q: %w", "SSH-2.0", ErrPacket), "it says something else"},
		"nobody":           {&net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}, "old:9000: connection refused: give"},
		"Ctrl-C meanwhile": {fmt.Errorf("dial: %w", context.Canceled), "stopped before old:9000 answered"},
	} {
		got := unlike2016("old:9000", c.err).Error()
		if !strings.Contains(got, c.says) || !strings.HasPrefix(got, "stopped") && !strings.Contains(got, "leave out --seed-dialect") {
			t.Errorf("%s: %s", name, got)
		}
		for _, leak := range []string{"tcp", "timeout", "EOF", "canceled"} {
			if strings.Contains(got, leak) {
				t.Errorf("%s: Go's words: %s", name, got)
			}
		}
	}
}
