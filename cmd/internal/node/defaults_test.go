package node

import (
	"path/filepath"
	"testing"
)

func TestDataDir(t *testing.T) {
	for _, test := range []struct {
		name, system string
		env          map[string]string
		want         string
	}{
		{"linux", "linux", map[string]string{"HOME": "/home/amy"}, "/home/amy/.local/share/conga"},
		{"xdg", "linux", map[string]string{"HOME": "/home/amy", "XDG_DATA_HOME": "/data"}, "/data/conga"},
		{"xdg relative", "linux", map[string]string{"HOME": "/home/amy", "XDG_DATA_HOME": "data"}, "/home/amy/.local/share/conga"},
		{"mac", "darwin", map[string]string{"HOME": "/Users/amy"}, "/Users/amy/Library/Application Support/conga"},
		{"windows", "windows", map[string]string{"LocalAppData": "/local"}, "/local/conga"},
		{"homeless", "linux", nil, "conga"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := dataDirFor(test.system, func(key string) string { return test.env[key] })
			if filepath.ToSlash(got) != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}
