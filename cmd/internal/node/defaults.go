package node

import (
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
)

// DataDir is the user's folder for conga's log, where the system keeps such data.
func DataDir() string {
	return dataDirFor(runtime.GOOS, os.Getenv)
}

// ListenersDir is where listeners have their folders, one a name.
func ListenersDir() string { return filepath.Join(DataDir(), "listeners") }

func dataDirFor(system string, getenv func(string) string) string {
	base := getenv("XDG_DATA_HOME")
	switch {
	case filepath.IsAbs(base): // the specification: a relative path is to be ignored
	case system == "windows" && getenv("LocalAppData") != "":
		base = getenv("LocalAppData")
	case system == "darwin" && getenv("HOME") != "":
		base = filepath.Join(getenv("HOME"), "Library", "Application Support")
	case getenv("HOME") != "":
		base = filepath.Join(getenv("HOME"), ".local", "share")
	default: // a service without a home: where it was started
		base = "."
	}
	return filepath.Join(base, "conga")
}

// warnHomeless says where the data is if that depends on where the program was started.
func warnHomeless(dir string, logger *slog.Logger) {
	if usual := DataDir(); filepath.IsAbs(usual) || dir != usual && filepath.Dir(dir) != ListenersDir() {
		return
	}
	if path, err := filepath.Abs(dir); err == nil {
		logger.Warn("HOME is not set, so the data is in a folder where conga was started: --data DIR names another", "data", path)
	}
}

// UserName is the name of a listener that was given none.
func UserName() string {
	for _, key := range []string{"USER", "USERNAME"} {
		if name := os.Getenv(key); name != "" {
			return name
		}
	}
	if host, err := os.Hostname(); err == nil && host != "" {
		return host
	}
	return "listener"
}
