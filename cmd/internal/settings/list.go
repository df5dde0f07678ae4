package settings

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
)

// Group has the settings that the same commands have.
type Group struct {
	Commands []string // as conga serve; conga alone: all of them
	Settings []Setting
}

// Setting is a flag with its names in the environment and in files.
type Setting struct {
	*kong.Flag
	Variable string
	Key      string // empty: it cannot stand in a file
}

// Line is the setting's line in a file, with its default or a word for its value.
func (s Setting) Line() string {
	value := s.Default
	switch {
	case s.Key == "":
		return ""
	case s.IsBool():
		value = "false"
	case s.IsSlice():
		value = "[" + strconv.Quote(s.PlaceHolder) + "]"
	case value == "" && s.HasDefault, value == "":
		value = strconv.Quote(s.PlaceHolder)
	default:
		if _, err := strconv.ParseFloat(value, 64); err != nil || s.Target.Kind().String() == "string" {
			value = strconv.Quote(value)
		}
	}
	return s.Key + " = " + value
}

// List returns all settings of the program, each once: commands that mean the same by a flag share it.
func (s *Settings) List(app *kong.Application) []Group {
	var groups []Group
	for _, owners := range s.owners(app) {
		at := slices.IndexFunc(groups, func(g Group) bool { return slices.Equal(g.Commands, owners.commands) })
		if at < 0 {
			at = len(groups)
			groups = append(groups, Group{Commands: owners.commands})
		}
		one := Setting{Flag: owners.flag, Variable: s.Variable(owners.flag), Key: owners.flag.Name}
		if one.Name == fileFlag {
			one.Key = ""
		}
		groups[at].Settings = append(groups[at].Settings, one)
	}
	return groups
}

// owned is a flag and the commands that have it.
type owned struct {
	flag     *kong.Flag
	commands []string
}

func (s *Settings) owners(app *kong.Application) []*owned {
	var all []*owned
	for _, command := range commands(app.Node) {
		for _, flag := range command.Flags {
			if !Is(flag) {
				continue
			}
			same := slices.IndexFunc(all, func(o *owned) bool {
				return o.flag.Name == flag.Name && o.flag.Help == flag.Help && o.flag.Default == flag.Default
			})
			if same < 0 {
				same = len(all)
				all = append(all, &owned{flag: flag})
			}
			all[same].commands = append(all[same].commands, strings.TrimSpace(app.Name+" "+command.Path()))
		}
	}
	return all
}

// Print is the list as text for people.
func (s *Settings) Print(app *kong.Application) string {
	var text strings.Builder
	fmt.Fprintf(&text, "Each setting is a flag, a variable of the environment, and a line in a file. The flag beats the variable, "+
		"and the variable the file.\n\nThe file is the one that --%s names, or these, of which the first beats the next:\n\n", fileFlag)
	for _, path := range s.Usual() {
		text.WriteString("    " + path + "\n")
	}
	fmt.Fprintf(&text, `
It is written in TOML. Keys that come first, or in the section [all], are for each command that has them; keys in another section
are for one command:

    plain = true

    [serve]
    songs = "/srv/music"
    max-listeners = 200

A flag without a value, --plain, is %sPLAIN=true and plain = true. Of a list, the variable has commas.
`, s.Prefix)
	for _, group := range s.List(app) {
		fmt.Fprintf(&text, "\n%s\n", strings.Join(short(group.Commands), ", "))
		for _, one := range group.Settings {
			flag := "--" + one.Name
			if !one.IsBool() {
				flag += "=" + one.FormatPlaceHolder()
			}
			fmt.Fprintf(&text, "\n  %-28s %-26s %s\n", flag, one.Variable, one.Line())
			for _, line := range wrapped(one.Help, 100) {
				text.WriteString("      " + line + "\n")
			}
		}
	}
	return text.String()
}

// short cuts the commands to their first words: conga log stands for all of its commands.
func short(names []string) (all []string) {
	for _, name := range names {
		words := strings.Fields(name)
		all = append(all, strings.Join(words[:min(2, len(words))], " "))
	}
	return slices.Compact(all)
}

// wrapped breaks text into lines of at most so many bytes.
func wrapped(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	return append(lines, line)
}
