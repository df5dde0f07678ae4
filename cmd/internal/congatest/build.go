package congatest

import (
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
)

// Build makes a program of cmd/ in dir, in the same way as the tests that run.
func Build(dir, program string) (path string, err error) {
	args := []string{"build", "-ldflags=-s -w", "-o", filepath.Join(dir, program)}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "-race" || s.Key == "-tags" {
				args = append(args, s.Key+"="+s.Value)
			}
		}
	}
	if err := haveRead(house()); err != nil {
		return "", err
	}
	out, err := exec.Command("go", append(args, "conga/cmd/"+program)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build %s: %w: %s", program, err, out)
	}
	return filepath.Join(dir, program), nil
}

// haveRead reads the folders on whose files the program depends. So go test does not reuse the result of a run with an
// older program.
func haveRead(house string) error {
	return filepath.WalkDir(house, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && path != house && strings.HasPrefix(entry.Name(), ".") {
			return fs.SkipDir
		}
		return err
	})
}
