package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// house is the repository's top folder, seen from here.
const house = "../.."

// source is one parsed file; dir is its room, "actors/pacer".
type source struct {
	dir, name string
	test      bool
	syntax    *ast.File
}

func (s source) String() string { return path.Join(s.dir, s.name) }

// imports yields what the file imports.
func (s source) imports() []string {
	var paths []string
	for _, spec := range s.syntax.Imports {
		p, _ := strconv.Unquote(spec.Path.Value)
		paths = append(paths, p)
	}
	return paths
}

func sources(t *testing.T) []source {
	t.Helper()
	all, err := parseHouse()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// parseHouse parses all files of the house, once for all tests.
var parseHouse = sync.OnceValues(func() (all []source, err error) {
	for _, room := range []string{"cmd", "messages", "actors", "transport", "songs"} {
		err := filepath.WalkDir(filepath.Join(house, room), func(file string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || filepath.Ext(file) != ".go" {
				return err
			}
			syntax, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			rel, _ := filepath.Rel(house, file)
			dir, name := path.Split(filepath.ToSlash(rel))
			all = append(all, source{path.Clean(dir), name, strings.HasSuffix(name, "_test.go"), syntax})
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if len(all) < 10 {
		return nil, fmt.Errorf("found only %d files: is the house elsewhere?", len(all))
	}
	return all, nil
})

// shared are the rooms below actors/ that every other one there may use.
var shared = []string{"actors/eventlog", "actors/window"}

// pure are the rooms that decide for an actor, which stands around them. All that they may import
// beside each other, so that the compiler keeps out clock, chance, files and the net, is in harmless.
var (
	pure     = []string{"actors/catalog/library", "actors/catalog/stock", "actors/chainmanager/chain", "actors/lease/right", "actors/pacer/place", "actors/relay/machine", "actors/relay/search", "actors/requester/clockfilter", "actors/scheduler/queue"}
	harmless = regexp.MustCompile(`^(bytes|cmp|crypto/(ed25519|sha256)|encoding/(binary|hex|json)|errors|fmt|hash|iter|maps|math|math/bits|math/rand/v2|path|regexp|slices|sort|strconv|strings|time|unicode|` +
		`google.golang.org/protobuf/proto|github.com/cespare/xxhash/v2|golang.org/x/text/unicode/norm|conga/messages(/plain)?|conga/actors/internal/(mp3|seal|sorted))$`)
)

// logRooms are below eventlog: SQLite, the log as text, what tests of logs share.
const logRooms = "actors/eventlog/"

// forbidden says why a file in room dir may not import the conga package pkg; empty:
// it may. Imports run one way: cmd -> actors, transport -> messages.
func forbidden(dir, pkg string, test bool) string {
	from, _, _ := strings.Cut(dir, "/")
	to, _, _ := strings.Cut(pkg, "/")
	isActor := func(p string) bool {
		return strings.HasPrefix(p, "actors/") && !strings.HasPrefix(p, "actors/internal/") && !strings.HasPrefix(p, logRooms) &&
			!slices.Contains(shared, p)
	}
	switch {
	case pkg == dir || to == "messages":
		return ""
	case slices.Contains(pure, pkg) && (path.Dir(pkg) == dir || slices.Contains(pure, dir) && path.Dir(pkg) == path.Dir(dir)):
		return "" // its own actor's
	case to == "cmd":
		if from != "cmd" {
			return "only cmd is above everything"
		}
	case from == "messages":
		return "messages knows no room"
	case from == "transport" && to == "actors", from == "actors" && to == "transport":
		return "actors and transport meet only in cmd"
	case from == "actors" && strings.HasPrefix(pkg, logRooms) && !test:
		return "a log knows only its port: cmd gives it a store, and writes it out"
	case isActor(dir) && isActor(pkg):
		return "an actor knows no other: they talk in messages"
	case from == "actors" && !isActor(dir) && dir != "actors" && (isActor(pkg) || pkg == "actors"):
		return "what all actors use knows none of them"
	case isActor(dir) && pkg == "actors":
		return "the tree knows its actors, not the other way round"
	}
	return ""
}

func TestRooms_Imports(t *testing.T) {
	for _, file := range sources(t) {
		for _, imported := range file.imports() {
			if (imported == "net" || imported == "net/http") && strings.HasPrefix(file.dir, "actors") && file.dir != "actors/eventlog/natstest" && !file.test {
				t.Errorf("%s imports %s: connections stay in transport", file, imported)
			}
			pkg, ours := strings.CutPrefix(imported, "conga/")
			if !ours {
				continue
			}
			if why := forbidden(file.dir, pkg, file.test); why != "" {
				t.Errorf("%s imports conga/%s: %s", file, pkg, why)
			}
		}
	}
}

// The rule itself: a test that forbids nothing would always pass.
func TestRooms_Rule(t *testing.T) {
	for _, test := range []struct {
		dir, pkg string
		allowed  bool
	}{
		{"cmd/conga", "actors", true},
		{"cmd/conga", "actors/player", true},
		{"cmd/conga", "transport", true},
		{"cmd/conga", "cmd/internal/screen", true},
		{"actors", "actors/pacer", true},
		{"actors/pacer", "messages", true},
		{"actors/chainmanager", "actors/chainmanager/chain", true},
		{"actors/pacer", "actors/chainmanager/chain", false},
		{"actors/chainmanager/chain", "actors/chainmanager", false},
		{"actors/relay/machine", "actors/relay/search", true},
		{"actors/relay/machine", "actors/chainmanager/chain", false},
		{"actors/pacer", "actors/eventlog", true},
		{"actors/pacer", "actors/window", true},
		{"actors/pacer", "actors/internal/mp3", true},
		{"actors/pacer", "actors/catalog", false},
		{"actors/pacer", "actors", false},
		{"actors/pacer", "transport", false},
		{"actors/eventlog", "actors/pacer", false},
		{"actors/window", "actors", false},
		{"actors/internal/mp3", "actors/catalog", false},
		{"actors/internal/mp3", "actors/internal/story", true},
		{"transport", "actors/window", false},
		{"transport", "actors", false},
		{"transport", "messages", true},
		{"messages", "actors", false},
		{"messages", "transport", false},
		{"transport", "cmd/conga", false},
		{"actors", "cmd/internal/node", false},
		{"cmd/internal/node", "actors", true},
		{"cmd/internal/node", "actors/eventlog/sqlite", true},
		{"actors/eventlog/sqlite", "actors/eventlog", true},
		{"actors/eventlog", "actors/eventlog/sqlite", false},
		{"actors/eventlog/export", "actors/eventlog/sqlite", false},
		{"actors/pacer", "actors/eventlog/export", false},
		{"transport", "actors/eventlog/sqlite", false},
	} {
		if got := forbidden(test.dir, test.pkg, false) == ""; got != test.allowed {
			t.Errorf("%s imports %s: allowed is %v", test.dir, test.pkg, got)
		}
	}
	if forbidden("actors/pacer", "actors/eventlog/storetest", true) != "" {
		t.Error("a test may not use what tests share")
	}
}

// A pure room decides: it reads no clock, throws no dice, does no I/O and knows no actors, or replaying a log would not
// give the same state twice. (rand/v2 is chance only without a seed: NewPCG(seed) is arithmetic.)
func TestRooms_StateIsPure(t *testing.T) {
	clock := []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}
	seen := map[string]bool{}
	for _, file := range sources(t) {
		if file.test || !slices.Contains(pure, file.dir) {
			continue
		}
		seen[file.dir] = true
		for _, imported := range file.imports() {
			if !slices.Contains(pure, strings.TrimPrefix(imported, "conga/")) && !harmless.MatchString(imported) {
				t.Errorf("%s imports %s, which is not among what a pure room may import", file, imported)
			}
		}
		ast.Inspect(file.syntax, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				pkg, ok := n.X.(*ast.Ident)
				if !ok {
					break
				}
				if pkg.Name == "time" && slices.Contains(clock, n.Sel.Name) {
					t.Errorf("%s calls time.%s: time comes in as a message", file, n.Sel.Name)
				}
				if pkg.Name == "ed25519" && n.Sel.Name == "GenerateKey" {
					t.Errorf("%s makes a key: chance comes in as a seed", file)
				}
				if pkg.Name == "rand" && !strings.HasPrefix(n.Sel.Name, "New") {
					t.Errorf("%s calls rand.%s: chance comes in as a seed", file, n.Sel.Name)
				}
			case *ast.GoStmt:
				t.Errorf("%s starts a goroutine", file)
			}
			return true
		})
	}
	for _, room := range pure {
		if !seen[room] {
			t.Errorf("nothing that decides was found in %s", room)
		}
	}
}

// Whoever listens has no use for what breaks networks, nor for the servers of NATS.
func TestRooms_ListenerBreaksNothing(t *testing.T) {
	needs := func(program string) string {
		out, err := exec.Command("go", "list", "-deps", "conga/cmd/"+program).Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	breaks := regexp.MustCompile(`(?m)^.*(vishvananda|conga-chaos|congatest|natstest|nats-server).*$|^testing$`)
	if found := breaks.FindAllString(needs("conga"), -1); found != nil {
		t.Errorf("conga needs %q", found)
	}
	if runtime.GOOS == "linux" && !strings.Contains(needs("conga-chaos"), "vishvananda/netlink") {
		t.Error("conga-chaos has no netlink either: this test looks for the wrong thing")
	}
}

// Five folders at the top, and no sixth.
func TestRooms_Top(t *testing.T) {
	usual := regexp.MustCompile(`^(actors|cmd|messages|songs|transport|\..+|go\.(mod|sum)|(README|ARCHITECTURE|CHANGELOG|CONTRIBUTING|SECURITY)\.md|LICENSE|Makefile|Dockerfile|buf\.(gen\.)?yaml)$`)
	out, err := exec.Command("git", "-C", house, "ls-files", "-z").Output()
	if err != nil {
		t.Skipf("what belongs to the house only git knows: %v", err)
	}
	for file := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if top, _, _ := strings.Cut(file, "/"); !usual.MatchString(top) {
			t.Errorf("%s stands at the top beside the five folders", top)
		}
	}
}

// ARCHITECTURE.md names rooms, files and tests. They must be there.
func TestRooms_Architecture(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(house, "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]bool{}
	for _, file := range sources(t) {
		for _, d := range file.syntax.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && file.test {
				tests[f.Name.Name] = true
			}
		}
	}
	named := 0
	for _, name := range regexp.MustCompile("`[^`\n]+`").FindAllString(string(text), -1) {
		switch name = strings.Trim(name, "`"); {
		case strings.HasPrefix(name, "Test"):
			named++
			if !tests[name] {
				t.Errorf("ARCHITECTURE.md names %s, which is no test: name the test that holds the rule now", name)
			}
		case regexp.MustCompile(`^(actors|cmd|messages|songs|transport)/`).MatchString(name):
			named++
			if _, err := os.Stat(filepath.Join(house, name)); err != nil {
				t.Errorf("ARCHITECTURE.md names %s, which is not there: name the room or file as it is called now", name)
			}
		}
	}
	if named < 20 {
		t.Errorf("it names only %d of them", named)
	}
}
