package settings

import (
	"cmp"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// fileFlag is the flag that says which file is read. It cannot be set in a file.
const fileFlag = "config"

// Settings are the settings of one program.
type Settings struct {
	Prefix string                      // of the variables: CONGA_
	File   string                      // name of the program's files: conga.toml
	Usual  func() []string             // where they are, the strongest first
	Getenv func(string) (string, bool) // as os.LookupEnv
	All    func() []string             // as os.Environ
	origin map[*kong.Flag]string       // where a value came from
}

// New returns the settings of a program, whose variables and files begin with its name.
func New(program string) *Settings {
	file := program + ".toml"
	return &Settings{
		Prefix: strings.ToUpper(program) + "_", File: file,
		Usual:  func() []string { return usualFiles(program, file) },
		Getenv: os.LookupEnv, All: os.Environ,
		origin: map[*kong.Flag]string{},
	}
}

// Is says whether a flag can be set by a variable or in a file.
func Is(flag *kong.Flag) bool {
	return flag.Name != "help" && !flag.Hidden && flag.Tag.Get("setting") != "-"
}

// Variable is the flag's name in the environment.
func (s *Settings) Variable(flag *kong.Flag) string {
	return s.Prefix + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
}

// Apply makes the parser look up the flags that are not on the command line.
func (s *Settings) Apply(k *kong.Kong) error {
	return kong.WithBeforeResolve(func(ctx *kong.Context) error {
		command := ctx.Selected()
		if command == nil || !hasSettings(command) {
			return nil
		}
		if err := s.checkVariables(ctx.Model.Node); err != nil {
			return err
		}
		files, err := s.read(ctx)
		if err != nil {
			return err
		}
		ctx.AddResolver(kong.ResolverFunc(func(ctx *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
			return s.resolve(flag, section(command), files)
		}))
		return nil
	}).Apply(k)
}

// hasSettings says whether the command has a flag to look up.
func hasSettings(command *kong.Node) bool { return slices.ContainsFunc(command.Flags, Is) }

// section is a command's section in a file. conga log tail has the settings of log.
func section(command *kong.Node) string {
	word, _, _ := strings.Cut(command.Path(), " ")
	return word
}

// found is a value from a variable or a file.
type found struct {
	text, where string
}

// resolve is the flag's value from a variable or a file, nil if there is none.
func (s *Settings) resolve(flag *kong.Flag, section string, files []file) (any, error) {
	if !Is(flag) {
		return nil, nil
	}
	value, is := found{}, false
	if value.text, is = s.Getenv(s.Variable(flag)); is {
		value.where = s.Variable(flag)
	} else if flag.Name != fileFlag {
		value, is = lookUp(files, section, flag.Name)
	}
	if !is {
		return nil, nil
	}
	s.origin[flag] = value.where
	// The parser does this again. It is done here to say where a wrong value stands.
	trial := kong.Scan().PushTyped(value.text, kong.FlagValueToken)
	if err := flag.Parse(trial, newTarget(flag)); err != nil {
		return nil, &Wrong{Where: value.where, Reason: err}
	}
	return value.text, nil
}

// Wrong is the error if a flag does not take a value from a variable or a file.
type Wrong struct {
	Where  string
	Reason error
}

// Error says where the value stands, and what is wrong with it.
func (w *Wrong) Error() string { return w.Where + ": " + w.Reason.Error() }

// Unwrap returns the flag's error.
func (w *Wrong) Unwrap() error { return w.Reason }

// Explain adds to an error the places from which its flags' values came, because the user may never have typed "--listen".
func (s *Settings) Explain(words string) string {
	var from []string
	for flag, where := range s.origin {
		if regexp.MustCompile(`--`+regexp.QuoteMeta(flag.Name)+`($|[^a-z0-9-])`).MatchString(words) && !strings.Contains(words, where) {
			from = append(from, fmt.Sprintf("--%s is set by %s", flag.Name, where))
		}
	}
	if len(from) == 0 {
		return words
	}
	slices.Sort(from)
	return words + " (" + strings.Join(from, ", ") + ")"
}

// others are variables with the prefix that are no settings: those by which Kubernetes tells each program where a service
// of its name is, and those of the tests.
var others = regexp.MustCompile(`^(PORT|PORT_.*|SERVICE_.*|TEST_.*|SEED|IN_SPEAKER)$`)

// checkVariables refuses variables that belong to no setting.
func (s *Settings) checkVariables(app *kong.Node) error {
	var known []string
	for _, node := range commands(app) {
		for _, flag := range node.Flags {
			if Is(flag) {
				known = append(known, s.Variable(flag))
			}
		}
	}
	for _, pair := range slices.Sorted(slices.Values(s.All())) {
		name, _, _ := strings.Cut(pair, "=")
		rest, is := strings.CutPrefix(name, s.Prefix)
		if !is || slices.Contains(known, name) || others.MatchString(rest) {
			continue
		}
		return unknown("there is no setting %s%s", name, orNearest(name, known))
	}
	return nil
}

// Unknown is the error about an unknown setting.
type Unknown struct{ error }

func unknown(format string, args ...any) error { return Unknown{fmt.Errorf(format, args...)} }

// commands are the program itself and all its commands.
func commands(node *kong.Node) []*kong.Node {
	all := []*kong.Node{node}
	for _, child := range node.Children {
		if !child.Hidden {
			all = append(all, commands(child)...)
		}
	}
	return all
}

// orNearest suggests the name that is most like the wrong one, if one is like it.
func orNearest(wrong string, names []string) string {
	slices.Sort(names)
	nearest := slices.MinFunc(append([]string{""}, names...), func(a, b string) int {
		return cmp.Compare(distance(wrong, a), distance(wrong, b))
	})
	if nearest == "" || distance(wrong, nearest) > max(2, len(wrong)/3) {
		return ""
	}
	return fmt.Sprintf(", did you mean %s?", nearest)
}

// distance is how many letters differ (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			changed := diagonal
			if a[i] != b[j] {
				changed++
			}
			diagonal = row[j+1]
			row[j+1] = min(changed, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
