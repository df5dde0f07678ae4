package main

import (
	"fmt"
	"runtime/debug"

	"conga/cmd/internal/cli"
)

type versionCmd struct{}

// Help shows an example.
func (versionCmd) Help() string {
	return cli.Examples("conga version", "for a bug report")
}

// Run prints what the build knows of itself.
func (versionCmd) Run(io *cli.Streams) error {
	_, err := fmt.Fprintln(io.Out, thisVersion())
	return err
}

func thisVersion() string {
	info, _ := debug.ReadBuildInfo()
	return versionLine(info)
}

// versionLine is the version, the commit where the build knows it, and the Go
// release. info may be nil.
func versionLine(info *debug.BuildInfo) string {
	if info == nil {
		return "conga (unknown build)"
	}
	line := "conga " + info.Main.Version
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if commit := settings["vcs.revision"]; commit != "" {
		line += " " + commit[:min(12, len(commit))]
		if settings["vcs.modified"] == "true" {
			line += "+changes"
		}
	}
	return line + " " + info.GoVersion
}
