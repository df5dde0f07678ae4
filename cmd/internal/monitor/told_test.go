package monitor

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"conga/actors"
	"conga/actors/eventlog"
	"conga/messages"
)

// gathered returns the figures by name and labels.
func gathered(t interface{ Fatal(...any) }, c prometheus.Collector) map[string]float64 {
	all := prometheus.NewRegistry()
	all.MustRegister(c)
	families, err := all.Gather()
	if err != nil {
		t.Fatal(err)
	}
	figures := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name := family.GetName()
			for _, label := range m.GetLabel() {
				name += fmt.Sprintf("{%s=%q}", label.GetName(), label.GetValue())
			}
			switch {
			case m.GetCounter() != nil:
				figures[name] = m.GetCounter().GetValue()
			case m.GetGauge() != nil:
				figures[name] = m.GetGauge().GetValue()
			default:
				figures[name] = float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return figures
}

func openLog(t *testing.T) *eventlog.Log {
	t.Helper()
	log, err := eventlog.Open(eventlog.NewMemory(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	return log
}

func TestTold(t *testing.T) {
	told := newTold(openLog(t))
	for _, e := range []proto.Message{
		&messages.ListenerJoined{}, &messages.ListenerJoined{}, &messages.ListenerReturned{},
		&messages.ListenerLeft{Cause: messages.ListenerLeft_CAUSE_LOST}, &messages.ListenerLeft{Cause: 77},
		&messages.ChainSpliced{From: "a", To: "b"}, &messages.ChainSpliced{From: "a", To: "c", Around: []string{"b"}},
		&messages.ListenerReconnected{SearchUs: 3000, BufferedUs: 1}, &messages.ListenerReconnected{SearchUs: -9, Missing: 2},
		&messages.SongStarted{}, &messages.SongEnded{}, &messages.SongEnded{Reason: "torn"},
		&messages.ListenerAudited{}, &messages.ListenerAudited{Fault: messages.Fault_FAULT_LYING},
	} {
		told.count(e)
	}
	got := gathered(t, told)
	for name, want := range map[string]float64{
		"conga_log_events_total": 14, "conga_listeners_joined_total": 2, "conga_listeners_returned_total": 1,
		`conga_listeners_left_total{cause="lost"}`: 1, `conga_listeners_left_total{cause="unspecified"}`: 1, `conga_listeners_left_total{cause="said_so"}`: 0,
		"conga_chain_repairs_total": 1, "conga_splice_seconds": 2, "conga_underruns_reported_total": 1, "conga_items_missing_total": 2,
		"conga_songs_started_total": 1, "conga_songs_broken_off_total": 1, `conga_audits_total{result="sound"}`: 1, `conga_audits_total{result="fault"}`: 1,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
}

// Whatever peers say of themselves, the number of figures stays the same, and no counter goes backwards.
func TestTold_Property_NoPeerMakesFigures(t *testing.T) {
	log := openLog(t)
	rapid.Check(t, func(t *rapid.T) {
		told := newTold(log)
		before := gathered(t, told)
		text := rapid.String()
		for range rapid.IntRange(1, 20).Draw(t, "events") {
			node := &messages.Node{Id: text.Draw(t, "id"), Name: text.Draw(t, "name"), Http: text.Draw(t, "http")}
			number := rapid.Int32().Draw(t, "enum")
			told.count(rapid.SampledFrom([]proto.Message{
				&messages.ListenerJoined{Node: node},
				&messages.ListenerLeft{Name: node.GetName(), Reason: node.GetHttp(), Cause: messages.ListenerLeft_Cause(number)},
				&messages.ListenerReconnected{Name: node.GetName(), Upstream: node, Reason: node.GetId(), SearchUs: rapid.Int64().Draw(t, "search"), Missing: rapid.Uint64().Draw(t, "missing")},
				&messages.ListenerAudited{Name: node.GetName(), Fault: messages.Fault(number)},
				&messages.SongStarted{Song: &messages.Song{Name: node.GetName()}},
			}).Draw(t, "event"))
		}
		after := gathered(t, told)
		if len(after) != len(before) {
			t.Fatalf("%d figures, there were %d", len(after), len(before))
		}
		for name, value := range before {
			if after[name] < value {
				t.Fatalf("%s went from %v to %v", name, value, after[name])
			}
		}
	})
}

// A node's own log is followed from its start on.
func TestTold_Follow(t *testing.T) {
	log := openLog(t)
	told, done := newTold(log), make(chan struct{})
	go func() { defer close(done); told.follow(t.Context()) }()
	if _, err := log.Append(eventlog.Any, "test", nil, &messages.SongStarted{}, &messages.SongEnded{}); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	<-done
	if got := gathered(t, told); got["conga_songs_started_total"] != 1 || got["conga_log_events_total"] != 2 {
		t.Errorf("%v", got)
	}
}

func TestDisk(t *testing.T) {
	d := NewDisk()
	d.Wrote(3 * time.Millisecond)
	d.Told(eventlog.DiskFull)
	d.Told(eventlog.DiskAway)
	got := gathered(t, d)
	if got["conga_disk_trouble_total"] != 2 || got[`conga_disk_state{state="away"}`] != 1 || got[`conga_disk_state{state="fine"}`] != 0 || got["conga_log_write_seconds"] != 1 {
		t.Errorf("%v", got)
	}
	d.Told(eventlog.DiskFine)
	if got := gathered(t, d); got["conga_disk_trouble_total"] != 2 || got[`conga_disk_state{state="fine"}`] != 1 || got[`conga_disk_state{state="full"}`] != 0 {
		t.Errorf("%v", got)
	}
}

// A silent node is not restarted for a cause that a restart does not remove.
func TestJudge(t *testing.T) {
	some := actors.ServerState{}.Apply(&messages.SongAdded{Song: &messages.Song{Name: "air.mp3"}})
	away := some.Apply(&messages.SongsAway{Reason: "the disk is not mounted"})
	for _, test := range []struct {
		name string
		dump actors.Dump
		err  error
		away string
		code int
		says string
	}{
		{"server", actors.Dump{State: some}, nil, "", 503, "no music for 7s"},
		{"empty folder", actors.Dump{State: actors.ServerState{}}, nil, "", 200, "no songs in the folder"},
		{"folder away", actors.Dump{State: away}, nil, "", 200, "the disk is not mounted"},
		{"actor restarts", actors.Dump{}, fmt.Errorf("try again"), "", 503, "try again"},
		{"listener", actors.Dump{State: map[string]any{}}, nil, "", 503, "no music for 7s"},
		{"server away", actors.Dump{State: map[string]any{}}, nil, "the folder is away", 200, "the server says: the folder is away"},
	} {
		code, says := judge(test.dump, test.err, test.away, -7*time.Second)
		if code != test.code || !strings.Contains(says, test.says) || http.StatusText(code) == "" {
			t.Errorf("%s: %d %s", test.name, code, says)
		}
	}
}

// A disk that hangs holds up nobody, and only one look waits for it.
func TestSize_DiskHangs(t *testing.T) {
	var s size
	if got := s.of(func() (int64, error) { return 7, nil }); got != 7 {
		t.Errorf("%d bytes", got)
	}
	hangs, asked := make(chan struct{}), make(chan struct{}, 8)
	for range 3 {
		if got := s.of(func() (int64, error) { asked <- struct{}{}; <-hangs; return 9, nil }); got != 7 {
			t.Errorf("%d bytes while the disk hangs", got)
		}
	}
	if len(asked) != 1 {
		t.Errorf("%d looks wait", len(asked))
	}
	look := s.look
	close(hangs)
	<-look
	if s.known != 9 {
		t.Errorf("%d bytes", s.known)
	}
}

func TestNames(t *testing.T) {
	if got := names(messages.ListenerLeft_Cause(0).Descriptor()); !slices.Contains(got, "did_not_return") {
		t.Errorf("%q", got)
	}
}
