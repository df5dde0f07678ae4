// Package story tests deciders by stories: what was asked, and what followed.
// A story is a text file that a newcomer can read:
//
//	# The second of three listeners crashes; its neighbours are joined over the gap.
//	given ListenerJoined node={id=bob} after=amy
//	lost bob
//	----
//	ListenerLeft id=bob cause=CAUSE_LOST
//	ChainSpliced from=amy to=cem around=[bob]
//
//	state
//	----
//	{"chain":["amy","cem"]}
//
// Lines that begin with # are comments. A scene is some lines, "----", and what
// followed from them, up to the next empty line. Each scene begins with the state in which
// the last one ended. A line of a scene is one of
//
//	given <Event …>  an event that is already true, of this or of another actor: it is only applied
//	state            prints the state as JSON
//	<Message …>      a command as Line prints it: it is decided, its events are applied and printed
//	<words>          a command in the test's own short words
//
// If nothing follows, the story says "nothing". Accept what changed with
//
//	go test ./actors/chainmanager -rewrite
//
// which writes the text after each ----, so a new story needs only its commands.
//
// Whatever the story, Run holds the decider to the rules of the house: Decide
// gives the same events when asked twice and changes nothing, Apply leaves the
// old state as it was, and a state that went through JSON decides the same.
package story

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
)

var rewrite = flag.Bool("rewrite", false, "write what happened into the stories instead of comparing")

// State is a decider, as conga/actors/eventlog has it; S is its own type.
type State[S any] interface {
	Decide(cmd proto.Message) []proto.Message
	Apply(event proto.Message) S
}

// Words reads a command in the test's own words, split at spaces. It returns nil
// for words that it does not know; they are then read by Parse. It may fail t.
type Words func(t *testing.T, words []string) proto.Message

// Teller does what one line of a story says, and returns what followed, a line each.
type Teller func(t *testing.T, line string) (follows []string, err error)

// Run tells every dir/*.txt, each as a subtest and each from the state empty.
// Words may be nil.
func Run[S State[S]](t *testing.T, dir string, empty S, words Words) {
	t.Helper()
	Each(t, dir, func() Teller { return of(empty, words) })
}

// Each tells every dir/*.txt, each as a subtest and each by a teller of its own.
func Each(t *testing.T, dir string, begin func() Teller) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories in %s (%v)", dir, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := tell(t, string(data), begin())
			if err != nil {
				t.Fatalf("%s:%v", file, err)
			}
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if line, g, w := firstDifference(got, string(data)); line > 0 {
				t.Errorf("%s:%d:\n got  %s\n want %s\nthe whole, as it happened:\n%s", file, line, g, w, got)
			}
		})
	}
}

// of is the teller of a decider's stories.
func of[S State[S]](state S, words Words) Teller {
	return func(t *testing.T, line string) ([]string, error) {
		told, next, err := step(t, state, line, words)
		state = next
		return told, err
	}
}

// tell returns the story as it happened. Its errors begin with the line's number.
func tell(t *testing.T, text string, teller Teller) (string, error) {
	var out, follows []string
	asked := false    // the scene has a line with a command
	skipping := false // after ----: what followed, according to the file
	end := func() {
		if len(follows) == 0 {
			follows = []string{"nothing"}
		}
		out = append(append(out, "----"), follows...)
		follows, asked = nil, false
	}
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, line := range lines {
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "":
			if asked { // a new scene whose ---- is not written yet
				end()
			}
			skipping = false
			out = append(out, "")
		case skipping:
		case strings.HasPrefix(trimmed, "#"):
			out = append(out, line)
		case trimmed == "----":
			end()
			skipping = true
		default:
			told, err := teller(t, trimmed)
			if err != nil {
				return "", fmt.Errorf("%d: %w", i+1, err)
			}
			out = append(out, line)
			follows = append(follows, told...)
			asked = asked || !strings.HasPrefix(trimmed, "given ")
		}
	}
	if asked {
		end()
	}
	return strings.Join(out, "\n") + "\n", nil
}

// step does what one line of a scene says. It returns what followed, and the new state.
func step[S State[S]](t *testing.T, state S, line string, words Words) ([]string, S, error) {
	if event, ok := strings.CutPrefix(line, "given "); ok {
		m, err := Parse(event)
		if err != nil {
			return nil, state, err
		}
		next, err := apply(state, m)
		return nil, next, err
	}
	if line == "state" {
		b, err := json.Marshal(state)
		return []string{string(b)}, state, err
	}
	var cmd proto.Message
	if words != nil {
		cmd = words(t, strings.Fields(line))
	}
	if cmd == nil {
		var err error
		if cmd, err = Parse(line); err != nil {
			return nil, state, err
		}
	}
	events, err := decide(state, cmd)
	if err != nil {
		return nil, state, err
	}
	var told []string
	for _, event := range events {
		told = append(told, Line(event))
		if state, err = apply(state, event); err != nil {
			return nil, state, err
		}
	}
	return told, state, nil
}

// decide calls Decide and checks its promises.
func decide[S State[S]](state S, cmd proto.Message) ([]proto.Message, error) {
	asked := Line(cmd)
	before, err := json.Marshal(state)
	if err != nil {
		return nil, fmt.Errorf("state to JSON: %w", err)
	}
	events := state.Decide(cmd)
	if after, err := json.Marshal(state); err != nil || string(after) != string(before) {
		return nil, fmt.Errorf("deciding changed the state:\n before %s\n after  %s", before, after)
	}
	if Line(cmd) != asked {
		return nil, fmt.Errorf("deciding changed the command into %s", Line(cmd))
	}
	if again := state.Decide(cmd); !slices.EqualFunc(events, again, proto.Equal) {
		return nil, fmt.Errorf("asked twice it decides otherwise: %v", again)
	}
	var back S
	if err := json.Unmarshal(before, &back); err != nil {
		return nil, fmt.Errorf("state from JSON: %w", err)
	}
	if after, _ := json.Marshal(back); string(after) != string(before) {
		return nil, fmt.Errorf("the state does not survive JSON:\n before %s\n after  %s", before, after)
	}
	if other := back.Decide(cmd); !slices.EqualFunc(events, other, proto.Equal) {
		return nil, fmt.Errorf("the state, read back from JSON, decides otherwise: %v", other)
	}
	return events, nil
}

// apply calls Apply and checks its promise that the old state stays as it was.
func apply[S State[S]](state S, event proto.Message) (S, error) {
	before, _ := json.Marshal(state)
	next := state.Apply(event)
	if after, _ := json.Marshal(state); string(after) != string(before) {
		return next, fmt.Errorf("applying %s changed the old state:\n before %s\n after  %s", Line(event), before, after)
	}
	return next, nil
}

// firstDifference returns the first line, counted from 1, in which got and want differ; 0 for none.
func firstDifference(got, want string) (line int, g, w string) {
	gs, ws := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(gs), len(ws)) {
		g, w = "(end)", "(end)"
		if i < len(gs) {
			g = gs[i]
		}
		if i < len(ws) {
			w = ws[i]
		}
		if g != w {
			return i + 1, g, w
		}
	}
	return 0, "", ""
}
