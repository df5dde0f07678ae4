package export

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"conga/actors/eventlog"
	"conga/actors/eventlog/storetest"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// Every later program can read the log of an earlier day: the same events, the
// same hashes. The file only gets new lines.
func TestGolden_OldLog(t *testing.T) {
	const path = "testdata/story.jsonl"
	if *rewrite {
		text := append(bytes.Join(export(t, story(t, eventlog.NewMemory())), []byte("\n")), '\n')
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	store := eventlog.NewMemory()
	if n, err := Import(store, decodeAll(lines)); err != nil || n != uint64(len(lines)) || n == 0 {
		t.Fatalf("%d of %d events: %v", n, len(lines), err)
	}
	log := storetest.Open(t, store)
	for i, line := range export(t, log) {
		if !bytes.Equal(line, lines[i]) {
			t.Errorf("was\n%s\nis\n%s", lines[i], line)
		}
	}
	if got := storetest.Keeper(t, log, storetest.Queue{}).State(); len(got.Songs) != 1 || got.Songs[0] != "bach.mp3" {
		t.Errorf("state %v", got)
	}
}
