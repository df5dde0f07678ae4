package keys

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"conga/cmd/internal/congatest"
)

// A renewed certificate is taken without a restart; while only one of its files is there, the old one stays.
func TestBrowser_Renewed(t *testing.T) {
	var log bytes.Buffer
	dir, later := t.TempDir(), time.Now().Add(time.Hour)
	certFile, keyFile := congatest.Certify(t, dir, later, "radio.example")
	b, err := OpenBrowser(certFile, keyFile, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	first := b.current
	oldKey, err := os.ReadFile(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	look := func(at int) {
		t.Helper()
		for _, file := range []string{certFile, keyFile} { // a file system's clock may be coarse
			if err := os.Chtimes(file, time.Time{}, time.Unix(int64(at), 0)); err != nil {
				t.Fatal(err)
			}
		}
		b.looked = time.Time{}
		if _, err := b.Certificate(nil); err != nil {
			t.Fatal(err)
		}
	}
	look(1)
	again := b.current
	congatest.Certify(t, dir, later, "other.example")
	newKey, err := os.ReadFile(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(keyFile, oldKey, 0o600); err != nil {
		t.Fatal(err)
	}
	look(2)
	if b.current != again || !strings.Contains(log.String(), "certificate of before") {
		t.Errorf("half a renewal was taken, or nobody was told: %s", &log)
	}
	if err := os.WriteFile(keyFile, newKey, 0o600); err != nil {
		t.Fatal(err)
	}
	look(3)
	if names := b.Names(); b.current == first || len(names) != 1 || names[0] != "other.example" {
		t.Errorf("the renewed one was not taken: it is for %q", names)
	}
}

func TestBrowser_BadFiles(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := congatest.Certify(t, dir, time.Now().Add(time.Hour), "a.example")
	_, otherKey := congatest.Certify(t, t.TempDir(), time.Now().Add(time.Hour), "b.example")
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct{ cert, key, says string }{
		"no certificate there": {filepath.Join(dir, "none"), keyFile, "--tls-cert " + filepath.Join(dir, "none") + ": there is no such file"},
		"no key there":         {certFile, filepath.Join(dir, "none"), "--tls-key " + filepath.Join(dir, "none") + ": there is no such file"},
		"a folder":             {dir, keyFile, "is a directory"},
		"text":                 {text, keyFile, "they must be PEM files"},
		"the other way round":  {keyFile, certFile, "they must be PEM files"},
		"another's key":        {certFile, otherKey, "private key does not match"},
	} {
		if _, err := OpenBrowser(test.cert, test.key, slog.Default()); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want %q in it", name, err, test.says)
		}
	}
	var log bytes.Buffer
	certFile, keyFile = congatest.Certify(t, dir, time.Now().Add(-time.Hour), "a.example")
	if _, err := OpenBrowser(certFile, keyFile, slog.New(slog.NewTextHandler(&log, nil))); err != nil || !strings.Contains(log.String(), "renew it") {
		t.Errorf("one that has ended: %v, and %q", err, &log)
	}
}
