package node

import (
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	"conga/messages"
)

// The host cancels what others asked for, and skips a song at once, which nobody else may. A client that connects from
// this machine is a guest, also if guests must know a token.
func TestServer_Host(t *testing.T) {
	t.Parallel() // it waits
	for _, token := range []string{"", "sesame-sesame"} {
		t.Run(token, func(t *testing.T) {
			t.Parallel()
			data, err := OpenData(t.TempDir(), "../../../songs", slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			n, err := StartServer(ServerOptions{
				Songs: "../../../songs", Listen: "127.0.0.1:0", Data: data, Logger: slog.New(slog.DiscardHandler), Token: token,
				Rules: &messages.QueueRules{RequestsEach: 1},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := n.Stop(); err != nil {
					t.Error(err)
				}
			}()
			<-n.Server.SongsKnown()
			guest := func(line string) string {
				conn, err := net.Dial("tcp", n.Requests.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if token != "" {
					line = "AUTH " + token + "\n" + line
				}
				_, _ = io.WriteString(conn, line+"\nQUIT\n")
				answer, _ := io.ReadAll(conn)
				return string(answer)
			}
			host := func(line string) string { return strings.Join(n.Say(t.Context(), line), "\n") }
			for _, c := range []struct {
				say        func(string) string
				line, want string
			}{
				{guest, "PLAY bach", "has been requested!"},
				{guest, "PLAY beethoven", "You have a song waiting."},
				{host, "PLAY beethoven", "has been requested!"},
				{host, "PLAY canon in d", "has been requested!"},
				{guest, "CANCEL beethoven", "Somebody else asked for that song"},
				{guest, "SKIP", "Nobody can skip songs here"},
				{host, "CANCEL bach", "Song bach.mp3 has been cancelled"},
				{host, "CANCEL", "Song pachelbel.mp3 has been cancelled"},
				{host, "REQUESTS", "1. beethoven.mp3 (Ode to Joy – Ludwig van Beethoven, for the host, in "},
				{host, "HELP", "QUIT"},
			} {
				if got := c.say(c.line); !strings.Contains(got, c.want) {
					t.Errorf("%s is answered %q, want %q", c.line, got, c.want)
				}
			}
			until(t, "the host skips the song", func() bool { return strings.Contains(host("SKIP"), "is skipped") })
			until(t, "the next one is on", func() bool { return strings.HasPrefix(host("HISTORY"), "1. beethoven.mp3") })
		})
	}
}
