// Package man writes manual pages from the text that --help prints.
package man

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"conga/cmd/internal/settings"

	"github.com/alecthomas/kong"
)

// Book is the pages of a program.
type Book struct {
	App      *kong.Application
	Settings *settings.Settings
	Version  string
	Exit     [][2]string // exit codes and their meanings
}

// Write writes a page for the program and for each command into the folder, which is made if it is not there.
func (b Book) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the folder for the pages: %w", err)
	}
	for name, page := range b.Pages() {
		if err := os.WriteFile(filepath.Join(dir, name+".1"), []byte(page), 0o644); err != nil {
			return fmt.Errorf("write the page of %s: %w", name, err)
		}
	}
	return nil
}

// Pages are the pages by their names: conga, conga-serve.
func (b Book) Pages() map[string]string {
	pages := map[string]string{}
	b.add(pages, b.App.Node)
	return pages
}

func (b Book) add(pages map[string]string, node *kong.Node) {
	pages[pageName(node)] = b.page(node)
	for _, child := range node.Children {
		if !child.Hidden {
			b.add(pages, child)
		}
	}
}

func pageName(node *kong.Node) string { return strings.ReplaceAll(node.FullPath(), " ", "-") }

// page is one page in the language of man(7).
func (b Book) page(node *kong.Node) string {
	name := pageName(node)
	p := &roff{}
	p.line(".TH %s 1 \"\" %s \"User Commands\"", quoted(strings.ToUpper(name)), quoted(b.Version))
	p.section("NAME")
	p.line("%s \\- %s", text(name), text(lower(strings.TrimSuffix(node.Help, "."))))
	p.section("SYNOPSIS")
	p.line(".B %s", text(node.FullPath()))
	p.line("%s", text(strings.TrimPrefix(strings.TrimPrefix(node.Summary(), node.Path()), " ")))
	p.section("DESCRIPTION")
	p.prose(node.Help + "\n\n" + node.Detail)
	b.words(p, node)
	b.flags(p, node)
	if node.Parent == nil {
		b.around(p)
	}
	p.section("EXIT STATUS")
	for _, exit := range b.Exit {
		p.item("\\fB"+text(exit[0])+"\\fR", exit[1])
	}
	p.section("SEE ALSO")
	p.line("%s", text(b.others(node)))
	return p.String()
}

// words are a command's arguments and commands.
func (b Book) words(p *roff, node *kong.Node) {
	if len(node.Positional) > 0 {
		p.section("ARGUMENTS")
		for _, arg := range node.Positional {
			p.item("\\fI"+text(arg.Summary())+"\\fR", arg.Help)
		}
	}
	if len(node.Children) > 0 {
		p.section("COMMANDS")
		for _, child := range node.Children {
			if !child.Hidden {
				p.item("\\fB"+text(child.FullPath())+"\\fR", child.Help+" See "+pageName(child)+"(1).")
			}
		}
	}
}

func (b Book) flags(p *roff, node *kong.Node) {
	p.section("OPTIONS")
	for _, group := range node.AllFlags(true) {
		for _, flag := range group {
			head := "\\fB" + text("--"+flag.Name) + "\\fR"
			if flag.Short != 0 {
				head = "\\fB" + text("-"+string(flag.Short)) + "\\fR, " + head
			}
			if !flag.IsBool() {
				head += "=\\fI" + text(flag.FormatPlaceHolder()) + "\\fR"
			}
			help := flag.Help
			if settings.Is(flag) {
				help += " Also " + b.Settings.Variable(flag) + "."
			}
			p.item(head, help)
		}
	}
}

// around writes what else the program reads: variables and files.
func (b Book) around(p *roff) {
	p.section("ENVIRONMENT")
	p.prose("Each flag that is not for one call only can be set by a variable: " + b.Settings.Prefix + "MAX_LISTENERS is --max-listeners. " +
		"conga help config lists them. A flag beats its variable, which beats the file.")
	p.section("FILES")
	for _, path := range b.Settings.Shown() {
		p.item("\\fI"+text(path)+"\\fR", "Settings, in TOML: a key is a flag without its dashes. The first of these files beats the next.")
	}
}

// others lists the pages that a reader may want next.
func (b Book) others(node *kong.Node) string {
	var names []string
	if node.Parent != nil {
		names = append(names, pageName(node.Parent)+"(1)")
	}
	for _, child := range node.Children {
		if !child.Hidden {
			names = append(names, pageName(child)+"(1)")
		}
	}
	return strings.Join(names, ", ")
}

func lower(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}

// roff is a page that is being written.
type roff struct{ strings.Builder }

func (p *roff) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

func (p *roff) section(name string) { p.line(".SH %s", name) }

// item is a word and what it means.
func (p *roff) item(head, body string) {
	p.line(".TP\n%s\n%s", head, text(body))
}

// prose writes paragraphs. Indented lines stay as they are.
func (p *roff) prose(body string) {
	as, first := false, true
	for line := range strings.SplitSeq(strings.TrimSpace(body), "\n") {
		indented := strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t")
		switch {
		case indented && !as:
			p.line(".PP\n.RS 4\n.nf")
		case !indented && as:
			p.line(".fi\n.RE\n.PP")
		}
		if !indented && strings.TrimSpace(line) == "" {
			if !first && !as {
				p.line(".PP")
			}
		} else {
			p.line("%s", text(strings.TrimSpace(line)))
		}
		as, first = indented, false
	}
	if as {
		p.line(".fi\n.RE")
	}
}

// text escapes what roff would take for commands.
func text(s string) string {
	s = strings.NewReplacer("\\", "\\e", "-", "\\-", "“", "\\(lq", "”", "\\(rq", "’", "\\(cq", "…", "...").Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = "\\&" + s
	}
	return s
}

func quoted(s string) string { return "\"" + strings.ReplaceAll(text(s), "\"", "\\(dq") + "\"" }
