package settings

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/alecthomas/kong"
)

// NoFile is the value of --config if no file is to be read.
const NoFile = "none"

// maxFile is more bytes than a file with settings has.
const maxFile = 1 << 20

// file is a configuration file. Keys outside of sections, and those in the section [all], are for each command that has such a
// flag. Another section has the keys of one command, which beat the others.
type file struct {
	path     string
	sections map[string]map[string]value // "" has the keys before the first
}

// everyCommand is the section of the keys that are for each command: TOML takes no key log before a section [log].
const everyCommand = "all"

// value is what a file says: as TOML has read it, and in the form that its flag takes.
type value struct {
	given any
	text  string
}

// usualFiles are the user's and the machine's.
func usualFiles(program, name string) []string {
	var files []string
	if dir := os.Getenv("XDG_CONFIG_HOME"); filepath.IsAbs(dir) { // the specification: a relative path is to be ignored
		files = append(files, filepath.Join(dir, program, name))
	} else if dir, err := os.UserConfigDir(); err == nil {
		files = append(files, filepath.Join(dir, program, name))
	}
	if runtime.GOOS == "windows" {
		if dir := os.Getenv("ProgramData"); dir != "" {
			files = append(files, filepath.Join(dir, program, name))
		}
		return files
	}
	return append(files, filepath.Join("/etc", program, name))
}

// Shown are the usual files, without this user's own paths: for a page that is made once.
func (s *Settings) Shown() []string {
	program := strings.TrimSuffix(s.File, ".toml")
	return []string{"~/.config/" + program + "/" + s.File, "/etc/" + program + "/" + s.File}
}

// read reads the files for the command, the strongest first.
func (s *Settings) read(ctx *kong.Context) ([]file, error) {
	named, where := "", ""
	for _, flag := range ctx.Model.Flags {
		if flag.Name != fileFlag {
			continue
		}
		if named, _ = ctx.FlagValue(flag).(string); named != "" {
			where = "--" + fileFlag
		} else if named, _ = s.Getenv(s.Variable(flag)); named != "" {
			where = s.Variable(flag)
		}
	}
	paths := s.Usual()
	switch named {
	case "":
	case NoFile:
		return nil, nil
	default:
		paths = []string{named}
	}
	var files []file
	for _, path := range paths {
		f, err := s.readFile(path, ctx.Model.Node)
		switch {
		case named == "" && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)):
			continue // nobody has named it, and the machine's file may hold a token and be closed to this user
		case err != nil && where != "":
			return nil, fmt.Errorf("%s: %w", where, err)
		case err != nil:
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

func (s *Settings) readFile(path string, app *kong.Node) (file, error) {
	opened, err := os.Open(path)
	if err != nil {
		return file{}, err
	}
	defer func() { _ = opened.Close() }()
	text, err := io.ReadAll(io.LimitReader(opened, maxFile+1))
	switch {
	case err != nil:
		return file{}, err
	case len(text) > maxFile:
		return file{}, fmt.Errorf("%s is no file with settings: it has more than a megabyte", path)
	}
	f, err := parse(path, string(text))
	if err != nil {
		return file{}, err
	}
	return f, s.check(f, app)
}

// parse reads TOML: keys with text, numbers, true or false, and lists of them, in sections or before the first.
func parse(path, text string) (file, error) {
	var tree map[string]any
	if _, err := toml.Decode(text, &tree); err != nil {
		return file{}, fmt.Errorf("%s: %s%s", path, strings.TrimPrefix(err.Error(), "toml: "), aboutTwice(err))
	}
	f := file{path: path, sections: map[string]map[string]value{"": {}}}
	add := func(section, key string, given any) error {
		text, err := textOf(given)
		if err != nil {
			return fmt.Errorf("%s: %s %w", path, inSection(section, key), err)
		}
		f.sections[section][key] = value{given, text}
		return nil
	}
	for key, given := range tree {
		table, is := given.(map[string]any)
		if !is {
			if err := add("", key, given); err != nil {
				return file{}, err
			}
			continue
		}
		f.sections[key] = map[string]value{}
		for inner, given := range table {
			if err := add(key, inner, given); err != nil {
				return file{}, err
			}
		}
	}
	return f, nil
}

// aboutTwice says what to do if a name was found twice.
func aboutTwice(err error) string {
	if wrong := (toml.ParseError{}); errors.As(err, &wrong) && strings.Contains(wrong.Message, "already been defined") {
		return " If it is a section, too, the key for all commands stands in the section [" + everyCommand + "]."
	}
	return ""
}

// textOf is a value in the form that its flag takes.
func textOf(value any) (string, error) {
	switch v := value.(type) {
	case string:
		return v, nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), nil
	case bool:
		return strconv.FormatBool(v), nil
	case []any:
		var texts []string
		for _, one := range v {
			text, err := textOf(one)
			if err != nil {
				return "", err
			}
			texts = append(texts, text)
		}
		return kong.JoinEscaped(texts, ','), nil
	}
	return "", errors.New("is neither text in quotes nor a number, true, false or a list of those")
}

// inSection names a key so that people find it in the file.
func inSection(section, key string) string {
	if section == "" {
		return key
	}
	return "[" + section + "] " + key
}

// check refuses a file with unknown settings, or with values of another type than theirs.
func (s *Settings) check(f file, app *kong.Node) error {
	known := map[string][]string{} // the keys of each section
	flags := map[string]*kong.Flag{}
	for _, command := range commands(app) {
		if command == app {
			continue
		}
		for _, flag := range command.Flags {
			if Is(flag) {
				known[section(command)] = append(known[section(command)], flag.Name)
				for _, every := range []string{"", everyCommand} {
					known[every] = append(known[every], flag.Name)
					flags[every+" "+flag.Name] = flag
				}
				flags[section(command)+" "+flag.Name] = flag
			}
		}
	}
	var sections []string
	for name := range known {
		sections = append(sections, name)
	}
	for _, name := range slices.Sorted(maps.Keys(f.sections)) {
		keys, is := known[name]
		if !is {
			return unknown("%s: there is no section [%s]%s", f.path, name, orNearest(name, sections))
		}
		for _, key := range slices.Sorted(maps.Keys(f.sections[name])) {
			if !slices.Contains(keys, key) {
				return unknown("%s: there is no setting %s%s", f.path, inSection(name, key), orNearest(key, slices.Clone(keys)))
			}
			flag, said := flags[name+" "+key], f.sections[name][key]
			if form := formOf(flag); !form.takes(said.given) {
				return &Wrong{Where: f.path + ": " + inSection(name, key), Reason: fmt.Errorf("it is %s, and must be %s", nameOf(said.given), form.example(flag, said.text))}
			}
		}
	}
	return nil
}

// lookUp finds a key in the strongest file that has it.
func lookUp(files []file, section, key string) (found, bool) {
	for _, f := range files {
		for _, in := range []string{section, everyCommand, ""} {
			if said, is := f.sections[in][key]; is {
				return found{said.text, f.path + ": " + inSection(in, key)}, true
			}
		}
	}
	return found{}, false
}

// newTarget is a place for a value that is only tried.
func newTarget(flag *kong.Flag) reflect.Value { return reflect.New(flag.Target.Type()).Elem() }
