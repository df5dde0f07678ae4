package e2e

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"conga/cmd/internal/congatest"
	"conga/cmd/internal/logbook"
	"conga/messages"
)

var (
	malloryTime   = flag.Duration("mallory", 10*time.Second, "how long TestE2E_Mallory attacks")
	malloryHonest = flag.Int("mallory.honest", 8, "listeners that she attacks")
	malloryOwn    = flag.Int("mallory.identities", 60, "members of the chain that she is")
)

// Honest listeners, and one mallory in good standing who does all that strangers do, all at once:
// what the others hear is whole, in time and as cheap as before. The whole of it, twenty against
// two hundred for a minute, wants a machine for itself:
//
//	go test ./cmd/conga/e2e -run E2E_Mallory -v -mallory 1m -mallory.honest 20 -mallory.identities 200
func TestE2E_Mallory(t *testing.T) {
	const hers, mostStreams = "127.0.0.66", 1.1
	data := t.TempDir()
	server := launchServer(t, congatest.Long(t, "bach.mp3", "beethoven.mp3"), data)
	m := newMallory(server, hers)
	var chain []*process
	var liars []*liar
	for i := range *malloryHonest {
		if every := max(1, *malloryHonest/int(lies)); i%every == every/2 && len(liars) < int(lies) {
			liars = append(liars, m.newLiar(t, lie(len(liars))))
		}
		chain = append(chain, launchListener(t, server, fmt.Sprint("honest", i+1), "--http", "127.0.0.1:0").awaitReady(t, listenerReady))
	}
	awaitMusicOf(t, chain)
	honest := map[string]bool{}
	for _, member := range server.dump(t).State.ChainManager.Chain {
		if strings.HasPrefix(member.Name, "honest") {
			honest[member.ID] = true
			m.honest = append(m.honest, &messages.Node{Id: member.ID, Name: member.Name, Relay: member.Relay})
		}
	}

	ctx, cancel := context.WithCancel(t.Context())
	before, kept, began := server.dump(t).Live.Pacer, stored(t, data), time.Now()
	calm, _ := memory(server)
	for _, liar := range liars {
		liar.lying.Store(true)
	}
	m.attack(ctx, *malloryOwn)
	select {
	case <-time.After(*malloryTime):
	case <-t.Context().Done():
	}
	after, took := server.dump(t).Live.Pacer, time.Since(began)
	grown, most := memory(server)
	cancel()
	m.done.Wait()

	streams := float64(after.ChunksSent-before.ChunksSent) / float64(after.Next-before.Next)
	t.Logf("%v of mallory: %s", took.Round(time.Millisecond), m.account())
	t.Logf("the server sent each chunk %.2f times; its log grew by %d kB, its memory from %d to %d MB (most: %d MB)",
		streams, (stored(t, data)-kept)>>10, calm, grown, most)
	// A short attack is over before those who have turned away from liars have found back, and runs
	// beside other tests: what it costs is told only.
	whole := *malloryTime >= time.Minute
	if whole && streams > mostStreams {
		t.Errorf("the server's upload was %.2f streams", streams)
	}
	settled := eventually(t, "the server feeds one", func() string {
		if _, times := spent(t, server); times > mostStreams {
			return fmt.Sprintf("it sends each chunk %.2f times", times)
		}
		return ""
	})
	t.Logf("%v later the server feeds one", settled.Round(time.Second))
	for _, listener := range chain {
		listener.end(t)
		lost, twice, underruns := inReceipt(t, listener)
		if lost+twice+underruns == 0 {
			continue
		}
		t.Logf("%s lost %d, twice %d, underruns %d", listener.name, lost, twice, underruns)
		if lost+twice > 0 || whole {
			t.Fail()
		}
	}
	if m.times("READ THE DUMP") > 0 {
		t.Error("a web page read the dump")
	}
	server.signal(t, os.Interrupt)
	server.exit(t)
	judge(t, data, honest, began)
}

// judge looks into the server's log: whom it moved and convicted of the honest ones, and whether
// songs were queued.
func judge(t *testing.T, data string, honest map[string]bool, began time.Time) {
	t.Helper()
	log, err := logbook.OpenFolder(data)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	var moved []string
	names := map[string]string{messages.ServerID: "the server"}
	for record, err := range log.Since(0) {
		if err != nil {
			t.Fatal(err)
		}
		if e, is := record.Event.(*messages.ListenerJoined); is {
			names[e.GetNode().GetId()] = e.GetNode().GetName()
		}
		if record.Time.Before(began) {
			continue
		}
		switch e := record.Event.(type) {
		case *messages.ListenerMoved:
			switch {
			case !honest[e.GetId()]:
			case e.GetConvicted():
				t.Errorf("%s is convicted: %v", e.GetName(), e)
			default:
				moved = append(moved, fmt.Sprintf("%s by %s (%v: %s)", e.GetName(), names[e.GetSeenBy()], e.GetFault(), e.GetReason()))
			}
		case *messages.SongQueued:
			t.Errorf("a web page queued %s", e.GetSong())
		}
	}
	t.Logf("honest listeners that were moved: %v", moved)
}

// awaitMusicOf waits until each hears.
func awaitMusicOf(t testing.TB, chain []*process) {
	t.Helper()
	for _, listener := range chain {
		listener.hears(t)
	}
}

var receiptLine = regexp.MustCompile(`(?m)^  heard (\d+) items, lost (\d+), twice (\d+), underruns (\d+), `)

// inReceipt reads the receipt of a listener that has ended.
func inReceipt(t testing.TB, p *process) (lost, twice, underruns int) {
	t.Helper()
	found := receiptLine.FindStringSubmatch(p.out.String())
	if found == nil || found[1] == "0" {
		t.Errorf("%s shows no receipt: %q", p.name, p.out.String())
		return 0, 0, 0
	}
	var numbers [3]int
	for i := range numbers {
		numbers[i], _ = strconv.Atoi(found[i+2])
	}
	return numbers[0], numbers[1], numbers[2]
}

// stored is how many bytes lie in the folder.
func stored(t testing.TB, dir string) (bytes int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if info, err := entry.Info(); err == nil { // else it has gone just now
			bytes += info.Size()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

// memory is what the process takes and took at most, in MB; 0 where the system does not say.
func memory(p *process) (now, most int) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, 0
	}
	kB := func(field string) int {
		for line := range strings.SplitSeq(string(status), "\n") {
			if rest, is := strings.CutPrefix(line, field+":"); is {
				n, _ := strconv.Atoi(strings.Fields(rest)[0])
				return n
			}
		}
		return 0
	}
	return kB("VmRSS") >> 10, kB("VmHWM") >> 10
}
