// Package completion completes command lines. The scripts for the shells ask the program, so they always offer its own
// commands and flags.
package completion

import (
	"embed"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

//go:embed conga.bash conga.zsh conga.fish
var scripts embed.FS

// Shells are the shells that have a script.
var Shells = []string{"bash", "zsh", "fish"}

// Script is the script for a shell.
func Script(shell string) ([]byte, error) { return scripts.ReadFile("conga." + shell) }

// Kind says what a word may be.
type Kind string

// The kinds of words.
const (
	Words Kind = "words" // one of the offered words
	Files Kind = "files"
	Dirs  Kind = "dirs"
)

// Offer is what the last word of a command line may become.
type Offer struct {
	Kind  Kind
	Words []Word
}

// Word is an offered word, and what it means.
type Word struct{ Text, About string }

// Lines are the offer in the format that the scripts read: the kind, then one word a line, and after a tab what it means.
func (o Offer) Lines() string {
	var text strings.Builder
	text.WriteString(string(o.Kind) + "\n")
	for _, word := range o.Words {
		text.WriteString(word.Text + "\t" + word.About + "\n")
	}
	return text.String()
}

// For offers what the last word may become. words are those after the program's name, as the shell splits them.
func For(app *kong.Application, shell string, words []string) Offer {
	if shell == "bash" {
		words = joined(words)
	}
	if len(words) == 0 {
		words = []string{""}
	}
	line := line{node: app.Node}
	last := words[len(words)-1]
	for _, word := range words[:len(words)-1] {
		line.take(word)
	}
	flag, value, valued := strings.Cut(last, "=")
	valued = valued && strings.HasPrefix(flag, "--") && line.expects == nil && !line.ended
	if !valued {
		return line.offer(last)
	}
	of := find(line.node, flag)
	if of == nil {
		return Offer{Kind: Words}
	}
	offer := begin(values(of), value)
	if shell == "fish" { // it replaces the whole word
		for i := range offer.Words {
			offer.Words[i].Text = flag + "=" + offer.Words[i].Text
		}
	}
	return offer
}

// joined undoes what bash does: it breaks words at = and :.
func joined(words []string) []string {
	var all []string
	glue := false
	for _, word := range words {
		mark := word == "=" || word == ":"
		if (mark || glue) && len(all) > 0 {
			all[len(all)-1] += word
		} else {
			all = append(all, word)
		}
		glue = mark
	}
	return all
}

// line is a command line as far as it was read.
type line struct {
	node    *kong.Node
	expects *kong.Flag // the last word was a flag that needs a value
	taken   int        // arguments of the command
	ended   bool       // by --
}

func (l *line) take(word string) {
	switch {
	case l.expects != nil:
		l.expects = nil
	case l.ended:
		l.taken++
	case word == "--":
		l.ended = true
	case strings.HasPrefix(word, "-"):
		if flag := find(l.node, word); flag != nil && !flag.IsBool() {
			l.expects = flag
		}
	default:
		for _, child := range l.node.Children {
			if child.Name == word && l.taken == 0 {
				l.node = child
				return
			}
		}
		l.taken++
	}
}

func (l *line) offer(last string) Offer {
	switch {
	case l.expects != nil:
		return begin(values(l.expects), last)
	case strings.HasPrefix(last, "-") && !l.ended:
		return begin(Offer{Kind: Words, Words: flags(l.node)}, last)
	case len(l.node.Children) > 0 && l.taken == 0:
		offered := children(l.node)
		if l.node.Name == "help" { // it takes commands as well as its own
			offered = append(offered, children(l.node.Parent)...)
		}
		return begin(Offer{Kind: Words, Words: offered}, last)
	case len(l.node.Positional) > 0:
		return begin(values(l.node.Positional[min(l.taken, len(l.node.Positional)-1)]), last)
	}
	return Offer{Kind: Words}
}

// begin leaves out words that begin differently.
func begin(o Offer, with string) Offer {
	o.Words = slices.DeleteFunc(o.Words, func(w Word) bool { return !strings.HasPrefix(w.Text, with) })
	return o
}

// find is the flag of the command, or of one above it.
func find(node *kong.Node, name string) *kong.Flag {
	for _, group := range node.AllFlags(true) {
		for _, flag := range group {
			if "--"+flag.Name == name || flag.Short != 0 && "-"+string(flag.Short) == name {
				return flag
			}
		}
	}
	return nil
}

func flags(node *kong.Node) (all []Word) {
	for _, group := range node.AllFlags(true) {
		for _, flag := range group {
			all = append(all, Word{"--" + flag.Name, about(flag.Help)})
		}
	}
	return all
}

func children(node *kong.Node) (all []Word) {
	for _, child := range node.Children {
		if !child.Hidden {
			all = append(all, Word{child.Name, about(child.Help)})
		}
	}
	return all
}

// values offers the values of a flag or an argument: those that its tag names, or files or folders if its name says so.
func values(of interface{ Summary() string }) Offer {
	var value *kong.Value
	name := ""
	switch of := of.(type) {
	case *kong.Flag:
		value, name = of.Value, of.PlaceHolder
	case *kong.Value:
		value, name = of, of.Name
	}
	offer := Offer{Kind: Words}
	switch {
	case value.Enum != "":
		for _, word := range value.EnumSlice() {
			offer.Words = append(offer.Words, Word{Text: word})
		}
	case value.Tag.Get("words") != "":
		for word := range strings.SplitSeq(value.Tag.Get("words"), ",") {
			offer.Words = append(offer.Words, Word{Text: word})
		}
	case strings.EqualFold(name, "DIR"):
		offer.Kind = Dirs
	case strings.HasPrefix(strings.ToUpper(name), "FILE"):
		offer.Kind = Files
	}
	return offer
}

// about is the first sentence of a help text.
func about(help string) string {
	first, _, _ := strings.Cut(help, ". ")
	return strings.TrimSuffix(first, ".")
}
