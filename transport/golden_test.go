package transport

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"conga/messages"
)

var rewrite = flag.Bool("rewrite", false, "write what was said into testdata instead of comparing")

// The bytes of the native dialect on a stream connection, both ways, are fixed: a node of
// today feeds one of next year. The conversation is a file of lines: > what the listener
// sends, < a frame that it gets, its kind and payload in hexadecimal.
func TestStreams_Golden(t *testing.T) {
	file := filepath.Join("testdata", "stream.txt")
	l := listen(t)
	music := newTape(testChunk(9, testSeal), testChunk(10, testSeal), testChunk(11, &messages.Seal{First: 11, Epoch: 4}))
	openStreams(t, l, func(c *StreamsConfig) {
		c.Open = func(*messages.OpenStream) (Cursor, error) { return music, nil }
		c.ServerNow = func() int64 { return 1_700_000_000_123_456 }
	})
	conn := dial(t, l)
	open := sayHi(nil, messages.ServerID, 1_700_000_000_123_000)
	open.Nonce = bytes.Repeat([]byte{7}, nonceSize)
	open.Signature = amy.sign(useOpen, askingOf(open).parts()...)
	hi := mustFrame(t, messages.KindHi, open)
	send(t, conn, hi)
	var said strings.Builder
	fmt.Fprintf(&said, "> %s\n", hex.EncodeToString(hi))
	r := bufio.NewReader(conn)
	for _, kind := range []messages.Kind{"HI", "SG", "NS", "SC", "SC", "SG", "SC", "HB"} {
		fmt.Fprintf(&said, "< %s %s\n", kind, hex.EncodeToString(readFrame(t, r, kind).Payload))
	}
	_ = conn.Close()
	<-music.closed
	if *rewrite {
		if err := os.WriteFile(file, []byte(said.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, []byte(said.String())) {
		t.Errorf("said\n%s, not\n%s", said.String(), want)
	}
}
