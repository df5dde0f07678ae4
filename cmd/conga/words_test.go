package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"conga/actors"
	"conga/actors/eventlog"
	"conga/actors/eventlog/export"
	"conga/cmd/internal/cli"
	"conga/cmd/internal/why"
	"conga/messages"
)

// steers is what makes a terminal do something, and a line that only conga says.
const steers = "\x1b]0;OWNED\x07\x1b[2J\u009b31m\u202eall is well\r\nready relay=6.6.6.6:1"

// steersNothing says whether out is lines that print as they are.
func steersNothing(out string) bool {
	return !strings.ContainsAny(out, "\x1b\x07\r\u009b\u202e") && !strings.HasPrefix(out, "ready") && !strings.Contains(out, "\nready")
}

// nodeOf answers as a node with this log does; state is nil for a listener.
func nodeOf(t *testing.T, name string, events ...proto.Message) http.HandlerFunc {
	t.Helper()
	log, err := eventlog.Open(eventlog.NewMemory(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	var state actors.ServerState
	var lines []byte
	if _, err := log.Append(eventlog.Any, "test", nil, events...); err != nil {
		t.Fatal(err)
	}
	for record, err := range log.Since(0) {
		if err != nil {
			t.Fatal(err)
		}
		state = state.Apply(record.Event)
		line, err := export.EncodeJSON(record)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(append(lines, line...), '\n')
	}
	head, err := json.Marshal(why.Head{Begins: time.Unix(1, 0), Events: len(events)})
	if err != nil {
		t.Fatal(err)
	}
	lines = slices.Concat(head, []byte("\n"), lines)
	dump, err := json.Marshal(map[string]any{"node": name, "state": state})
	if err != nil {
		t.Fatal(err)
	}
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/debug/story" {
			_, _ = w.Write(lines)
			return
		}
		_, _ = w.Write(dump)
	}
}

func joined(id, name, http, after string) proto.Message {
	return &messages.ListenerJoined{Node: &messages.Node{Id: id, Name: name, Http: http}, After: after}
}

// What a listener answers is told as its own words, which steer nothing, and its answer can
// be neither endless nor elsewhere.
func TestWhy_HostileListener(t *testing.T) {
	const amyID, malID = "00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"
	var elsewhere atomic.Int64
	other := answering(t, func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) })
	silent := &messages.PlayerFellSilent{Reason: steers}
	for _, test := range []struct {
		name, mallory string // what she calls herself
		answers       http.HandlerFunc
		ask           string
		want          string
		not           string
	}{
		{"escapes", "mallory", nodeOf(t, "mallory", silent), "mallory", "mallory's own log says: mallory cannot be heard: ]0;OWNED[2J31mall is well ready relay", ""},
		{
			"names others", "mallory",
			nodeOf(t, "mallory", &messages.UpstreamConnected{Node: &messages.Node{Id: amyID, Name: "the server itself"}}, joined(amyID, "mallory", "", messages.ServerID), silent),
			"mallory", "mallory joined the chain behind amy.", "the server itself",
		},
		{"namesake", "amy", nodeOf(t, "amy", silent), "amy", "2 listeners are called amy", "all is well"},
		{"namesake by id", "amy", nodeOf(t, "amy", silent), malID, "amy (00000000-0000-4000-8000-00000000000b)'s own log says: amy (00000000-0000-4000-8000-00000000000b) cannot be heard", ""},
		{"redirect", "mallory", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+other+"/internal", http.StatusFound)
		}, "mallory", "mallory itself could not be asked", ""},
		{"endless dump", "mallory", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"node":"`))
			for {
				if _, err := w.Write(bytes.Repeat([]byte("A"), 1<<20)); err != nil {
					return
				}
			}
		}, "mallory", "the answer is too long", ""},
		{"endless log", "mallory", func(w http.ResponseWriter, r *http.Request) {
			line := `{"node":"mallory"}`
			if r.URL.Path == "/debug/story" {
				line = strings.Repeat("A", 1<<16)
			}
			for {
				if _, err := fmt.Fprint(w, line); err != nil || r.URL.Path != "/debug/story" {
					return
				}
			}
		}, "mallory", "the answer is too long", ""},
		{"squeezed", "mallory", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
		}, "mallory", "mallory itself could not be asked", ""},
		{"status", "mallory", func(w http.ResponseWriter, _ *http.Request) {
			conn, _, _ := w.(http.Hijacker).Hijack()
			fmt.Fprintf(conn, "HTTP/1.1 500 \x1b[2J%s\r\n\r\n", strings.Repeat("x", 9000))
			conn.Close()
		}, "mallory", "mallory itself could not be asked", strings.Repeat("x", 200)},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := answering(t, nodeOf(t, "server",
				joined(amyID, "amy", "", messages.ServerID), joined(malID, test.mallory, answering(t, test.answers), amyID)))
			code, out, errs := conga(t, "why", test.ask, "--http", server, "--data", t.TempDir())
			if code != 0 || errs != "" || !steersNothing(out) || !strings.Contains(out, test.want) || test.not != "" && strings.Contains(out, test.not) {
				t.Errorf("exit %d, %s\n%s", code, errs, out)
			}
			if elsewhere.Load() > 0 {
				t.Error("she has led why to another address")
			}
		})
	}
}

// The operator has named the address, but who answers there may be anybody.
func TestDump_HostileNode(t *testing.T) {
	dump := answering(t, dumpOf(`{"node":"a\u001b[2J`+"\u009b\u202e\x1b[2J"+`"}`))
	if code, out, _ := conga(t, "dump", dump); code != 0 || out != `{"node":"a\u001b[2J\u009b\u202e[2J"}` {
		t.Errorf("exit %d, %q", code, out)
	}
	var elsewhere atomic.Int64
	other := answering(t, func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) })
	for name, answers := range map[string]http.HandlerFunc{
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+other+"/", http.StatusMovedPermanently)
		},
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
		},
	} {
		code, out, errs := conga(t, "dump", answering(t, answers))
		if code != cli.Failed || out != "" || strings.Count(errs, "\n") != 1 || elsewhere.Load() > 0 {
			t.Errorf("%s: exit %d, %q, %q", name, code, out[:min(len(out), 100)], errs)
		}
	}
}

// Whatever a command prints is plain, also what it says of the words that it was given.
func TestRun_Plain(t *testing.T) {
	for _, args := range [][]string{
		{"join", steers}, {"dump", steers}, {"why", steers, "--http", "127.0.0.1:1"}, {steers}, {"log", "show", steers},
	} {
		code, out, errs := conga(t, args...)
		if code == 0 || !steersNothing(out+errs) || strings.Count(errs, "\n") != 1 {
			t.Errorf("conga %q: exit %d, %q, %q", args, code, out, errs)
		}
	}
}

// A server's answer cannot be taken for what the listener itself says.
func TestSaid(t *testing.T) {
	for line, want := range map[string]string{
		"1. bach.mp3":                        "1. bach.mp3",
		"":                                   "",
		"ready relay=6.6.6.6:1 http=off":     "> ready relay=6.6.6.6:1 http=off",
		"\x1b[2J":                            "[2J",
		" \u200bready":                       "> ready",
		"x\nready relay=1":                   "x ready relay=1",
		"receipt of amy":                     "> receipt of amy",
		"  heard 100 items, lost 0, twice 0": "heard 100 items, lost 0, twice 0",
		"readymade.mp3":                      "readymade.mp3",
	} {
		if got := said(line); got != want {
			t.Errorf("%q is printed as %q, want %q", line, got, want)
		}
	}
}

// A radio's sentence names the radio's words; on the command line they are commands. What a song is called stays.
func TestAsCommands(t *testing.T) {
	for sentence, want := range map[string]string{
		"That song is not waiting: REQUESTS shows what is":                    "That song is not waiting: conga queue shows what is",
		"You have 3 songs waiting. CANCEL one, or wait until one has played.": "You have 3 songs waiting. conga cancel one, or wait until one has played.",
		`None of 3 has "PLAY it" in its name: SONGS shows all`:                `None of 3 has "PLAY it" in its name: conga songs shows all`,
		"Song DISPLAY.mp3 is here":                                            "Song DISPLAY.mp3 is here",
	} {
		if got := asCommands(sentence); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
