//go:build ignore

// types SYSTEM/MACHINE …: checks the types of all packages and their tests as they are on other systems. What they import is read
// from source, without the bodies of its functions: nothing is compiled, which would take minutes for the database alone.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
)

// unit is what go list says of a package. With its tests it is a package of its own.
type unit struct {
	ImportPath, Dir string
	GoFiles         []string
	ImportMap       map[string]string
	DepOnly         bool // nothing of ours
	Module          *struct{ GoVersion string }
}

func main() {
	debug.SetGCPercent(400)
	for _, system := range os.Args[1:] {
		fmt.Println("systems: types of", system)
		if err := check(system); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func check(system string) error {
	goos, machine, _ := strings.Cut(system, "/")
	list := exec.Command("go", "list", "-deps", "-test", "-json=ImportPath,Dir,GoFiles,ImportMap,DepOnly,Module", "./...")
	list.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+goos, "GOARCH="+machine)
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		return fmt.Errorf("go list for %s: %w", system, err)
	}
	checked := map[string]*types.Package{"unsafe": types.Unsafe}
	var errs []error
	for units := json.NewDecoder(bytes.NewReader(out)); ; { // in an order in which no package stands before what it imports
		var u unit
		if err := units.Decode(&u); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		if u.ImportPath == "unsafe" || strings.HasSuffix(u.ImportPath, ".test") {
			continue
		}
		fset := token.NewFileSet()
		files, err := u.parse(fset)
		errs = append(errs, err)
		conf := types.Config{
			IgnoreFuncBodies: u.DepOnly,
			Sizes:            types.SizesFor("gc", machine),
			Error:            func(err error) { errs = append(errs, err) },
			Importer: importer(func(path string) (*types.Package, error) {
				if mapped, ok := u.ImportMap[path]; ok {
					path = mapped
				}
				if p := checked[path]; p != nil {
					return p, nil
				}
				return nil, fmt.Errorf("%s is not there", path)
			}),
		}
		if u.Module != nil && u.Module.GoVersion != "" {
			conf.GoVersion = "go" + u.Module.GoVersion
		}
		path, _, _ := strings.Cut(u.ImportPath, " ")
		checked[u.ImportPath], _ = conf.Check(path, fset, files, nil) // its errors went to conf.Error
	}
	return errors.Join(errs...)
}

// parse reads the files. Bodies that nobody looks at are forgotten at once.
func (u *unit) parse(fset *token.FileSet) (files []*ast.File, err error) {
	for _, name := range u.GoFiles {
		file, err := parser.ParseFile(fset, filepath.Join(u.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, d := range file.Decls {
			if f, is := d.(*ast.FuncDecl); is && u.DepOnly && f.Body != nil {
				f.Body.List = nil
			}
		}
		files = append(files, file)
	}
	return files, nil
}

type importer func(path string) (*types.Package, error)

func (i importer) Import(path string) (*types.Package, error) { return i(path) }
