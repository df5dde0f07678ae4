package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The units and the Dockerfile set what conga knows, and start what it has.
func TestPackaging(t *testing.T) {
	p := program()
	model := p.Parser().Model
	var known []string
	for _, group := range p.Settings.List(model) {
		for _, setting := range group.Settings {
			known = append(known, setting.Variable)
		}
	}
	files, err := filepath.Glob("packaging/*.service")
	if err != nil || len(files) != 2 {
		t.Fatalf("units %q, %v", files, err)
	}
	for _, file := range append(files, house+"/Dockerfile") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		named := regexp.MustCompile(`CONGA_[A-Z_]+`).FindAllString(string(text), -1)
		if len(named) == 0 {
			t.Errorf("%s sets nothing", file)
		}
		for _, name := range named {
			if !slices.Contains(known, name) {
				t.Errorf("%s names %s, which is no setting", file, name)
			}
		}
		for _, start := range regexp.MustCompile(`(?m)^ExecStart=/usr/bin/conga (.*)$`).FindAllStringSubmatch(string(text), -1) {
			if _, err := program().Parser().Parse(strings.Fields(start[1])); err != nil {
				t.Errorf("%s starts conga %s: %v", file, start[1], err)
			}
		}
	}
}

// The units leave a broken or taken service no more than Navidrome's own unit does: an exposure of 2.0.
func TestPackaging_Exposure(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("no systemd-analyze here")
	}
	for _, unit := range []string{"conga-server", "conga-listener"} {
		out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--threshold=20", "packaging/"+unit+".service").CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", unit, err, out)
		}
	}
}
