package e2e

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"conga/cmd/internal/congatest"
)

// Without a sound card that is said once, and ALSA's lines are nowhere.
func TestDemo_NoCard(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("ALSA can be told that there is no card")
	}
	empty := filepath.Join(t.TempDir(), "alsa.conf")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // if it says nothing
	defer cancel()
	demo := exec.CommandContext(ctx, congaFile, "demo", "--songs", congatest.Dir)
	demo.Env = append(os.Environ(), "ALSA_CONFIG_PATH="+empty)
	stdin, err := demo.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := demo.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var printed bytes.Buffer
	demo.Stderr = &printed
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	said, playing := 0, false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.Contains(lines.Text(), "sound card") || strings.Contains(lines.Text(), "no loudspeaker") {
			said++
		}
		playing = playing || strings.HasPrefix(lines.Text(), "now playing")
		if playing && said > 0 {
			_, _ = io.WriteString(stdin, "END\n")
		}
	}
	if err := demo.Wait(); err != nil || said != 1 || strings.Contains(printed.String(), "ALSA") || strings.Contains(printed.String(), "sound") {
		t.Errorf("%v, said %d times, stderr:\n%s", err, said, &printed)
	}
}
