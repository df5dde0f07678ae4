package main

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"conga/cmd/conga-bench/internal/result"
	"conga/cmd/internal/cli"
	"conga/cmd/internal/congatest"
	"conga/messages/raced"
)

// TestMain lets the tests be this program where it starts itself.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "worker" {
		benchProgram().Main(os.Args[1:])
	}
	os.Exit(m.Run())
}

func runBench(t *testing.T, args ...string) (code int, out, progress string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = benchProgram().Run(t.Context(), args, strings.NewReader(""), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

// builtConga is a conga for one test.
func builtConga(t *testing.T) string {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("it measures processes through Linux' /proc")
	}
	path, err := congatest.Build(t.TempDir(), "conga")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// A short real run has every line of a chain, with a figure of conga and one of the baseline, in the table and in the JSON.
func TestBench_Chain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "run.json")
	code, out, progress := runBench(t, "run", "--conga", builtConga(t), "--songs", congatest.Dir, "--only", "chain",
		"--nodes", "1,3", "--rounds", "1", "--joins", "1", "--for", "1s", "--settle", "300ms", "--calm", "0s", "--json", file)
	t.Logf("%s\n%s", progress, out)
	if code != 0 {
		t.Fatalf("exit %d", code)
	}
	run, err := readRun(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []result.Key{
		{Name: hopLatency, Nodes: 3, Baseline: rawFrames},
		{Name: hopLatency99, Nodes: 3, Baseline: rawChunks},
		{Name: listenersCPU, Nodes: 3, Baseline: rawFrames},
		{Name: listenerMemory, Nodes: 3, Baseline: rawChunks},
		{Name: goroutines, Nodes: 3, Baseline: rawChunks},
		{Name: serverCPU, Nodes: 1, Baseline: fanOut},
		{Name: serverCPUCalm, Nodes: 3, Baseline: fanOut},
		{Name: serverRSS, Nodes: 3, Baseline: fanOut},
		{Name: serverOwn, Nodes: 3, Baseline: fanOut},
		{Name: serverUpload, Nodes: 3, Baseline: fanOut},
		{Name: wireBytes, Nodes: 1, Baseline: mp3Bytes},
		{Name: serverBytes, Nodes: 3, Baseline: mp3Bytes},
		{Name: joining, Nodes: 3, Baseline: greeting},
		{Name: splicing, Nodes: 3, Baseline: greeting},
		{Name: firstChunk50, Baseline: greeting},
		{Name: firstSound99, Nodes: 3, Baseline: greeting},
	} {
		line, has := run.Find(key)
		if !has || line.Conga <= 0 || line.Base <= 0 || line.Ratio <= 0 || len(line.Rounds) != 1 {
			t.Errorf("%v: %+v", key, line)
		}
		if !strings.Contains(out, key.Name) {
			t.Errorf("the table has no %s", key.Name)
		}
	}
	if run.Version == "" || run.Go == "" || run.Cores == 0 || run.Date.IsZero() {
		t.Errorf("the run does not say what was measured where: %+v", run)
	}
	if code, svg, said := runBench(t, "plot", file); code != 0 || strings.Count(svg, "<circle") < 20 {
		t.Errorf("exit %d, %d dots, %s", code, strings.Count(svg, "<circle"), said)
	}
	wire, _ := run.Find(result.Key{Name: wireBytes, Nodes: 1, Baseline: mp3Bytes})
	if wire.Ratio < 1 || wire.Ratio > 1.1 {
		t.Errorf("a chunk needs %v of its mp3's bytes", wire.Ratio)
	}
}

// The other groups, too.
func TestBench_Rest(t *testing.T) {
	if raced.On {
		t.Skip("it is the same without the race detector")
	}
	file := filepath.Join(t.TempDir(), "run.json")
	code, out, progress := runBench(t, "run", "--conga", builtConga(t), "--songs", congatest.Dir, "--only", "joins,relay,decode,log,program",
		"--nodes", "3", "--rounds", "1", "--for", "1s", "--settle", "300ms", "--events", "2000", "--json", file)
	t.Logf("%s\n%s", progress, out)
	if code != 0 {
		t.Fatalf("exit %d", code)
	}
	run, err := readRun(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []result.Key{
		{Name: joiningBurst, Nodes: 3, Baseline: greeting},
		{Name: catchingUp, Baseline: ioCopy},
		{Name: appendAlone, Baseline: plainFile},
		{Name: appendGroup, Baseline: plainFile},
		{Name: replaying, Baseline: plainRead},
		{Name: openReplay, Baseline: plainOpen},
		{Name: openSnapshot, Baseline: plainOpen},
		{Name: starting, Baseline: goHello},
		{Name: serving, Baseline: goHello},
		{Name: programSize, Baseline: goHello},
		{Name: serverAlone, Baseline: goHello},
		{Name: servingAgain, Baseline: goHello},
		{Name: listenerRSS, Baseline: goHello},
		{Name: listenerOwn, Baseline: goHello},
	} {
		if line, has := run.Find(key); !has || line.Conga <= 0 || line.Base <= 0 {
			t.Errorf("%v: %+v", key, line)
		}
	}
	if line, has := run.Find(result.Key{Name: playing, Baseline: goMP3}); !has || line.Base <= 0 { // on a busy machine playing may seem to cost nothing
		t.Errorf("%+v", line)
	}
}

func TestBench_Flags(t *testing.T) {
	for flags, says := range map[string]string{
		"run --rounds 0":                   "from 1 to",
		"run --nodes 0":                    "from 1 to 5000",
		"run --only weather":               "it is one of chain",
		"run --for 0s":                     "are times",
		"check nosuch.json --worse 0":      "above 0",
		"run --songs " + t.TempDir():       "there are no .mp3 files",
		"check " + t.TempDir() + "/nosuch": "no such file",
	} {
		code, out, progress := runBench(t, strings.Fields(flags)...)
		if code == 0 || !strings.Contains(out+progress, says) {
			t.Errorf("%s: exit %d, %s%s", flags, code, out, progress)
		}
	}
}

// check fails if a ratio got worse, and names the line.
func TestBench_Check(t *testing.T) {
	write := func(name string, ratio float64) string {
		var run result.Run
		run.Add(result.Key{Name: hopLatency, Nodes: 10, Baseline: rawFrames}, "us", result.Less, result.Round{Conga: ratio, Base: 1})
		data, err := run.Encode()
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	old := write("old", 2)
	for _, c := range []struct {
		ratio float64
		code  int
		says  string
	}{
		{2.3, 0, "None of 1 lines"},
		{1, 0, "None of 1 lines"},
		{2.6, cli.Failed, "30 % worse: hop latency p50, 10 nodes, against raw relay, 1 KiB at 38.28/s: the ratio was 2.00 and is 2.60"},
	} {
		code, out, _ := runBench(t, "check", write("new", c.ratio), "--old", old)
		if code != c.code || !strings.Contains(out, c.says) {
			t.Errorf("%v: exit %d, %q", c.ratio, code, out)
		}
	}
}
