package catalog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"conga/messages"
)

// Open opens the song called name in the folder dir, for reading from its start; the
// caller closes it. It opens only regular files in dir and its subfolders, and those to which
// links there lead. A name cannot lead anywhere else.
func Open(dir, name string) (io.ReadCloser, error) {
	if reason := badName(name); reason != "" {
		return nil, fmt.Errorf("open song %q: %s", name, reason)
	}
	f, err := openRegular(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		if inPath, is := errors.AsType[*fs.PathError](err); is {
			err = inPath.Err // everybody sees the reason, but the path is only for the operator
		}
		return nil, fmt.Errorf("open song %s: %w", name, err)
	}
	return f, nil
}

var errNotRegular = errors.New("it is not a regular file")

// openRegular looks before it opens, because opening a pipe would wait for its writer.
func openRegular(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errNotRegular
	}
	return os.Open(path)
}

// badName says why a file of this name, its path in the songs folder with slashes, cannot be a song; "" if
// it can. Names are sent in lines and printed on terminals, so they must be one line of text. Commas and
// spaces are fine.
func badName(name string) string {
	hidden := false
	for part := range strings.SplitSeq(name, "/") {
		hidden = hidden || part == "" || strings.HasPrefix(part, ".")
	}
	switch {
	case hidden || strings.Contains(name, `\`) || !filepath.IsLocal(filepath.FromSlash(name)):
		return "a song is a visible file in the songs folder, and its name has no backslash"
	case !utf8.ValidString(name):
		return "its name is not valid UTF-8; rename it"
	case strings.ContainsFunc(name, notText):
		return "its name contains a line break or another control character; rename it"
	case len(name) > messages.MaxSongName:
		return fmt.Sprintf("its name and those of its folders have more than %d bytes; shorten them", messages.MaxSongName)
	}
	return ""
}

// badFolder says why no file in a folder of this name can be a song; "" if it can.
func badFolder(name string) string {
	if reason := badName(name); reason != "" {
		return "the folder is left out: " + reason
	}
	return ""
}

// isPlain says whether the name can be shown as it is.
func isPlain(name string) bool { return utf8.ValidString(name) && !strings.ContainsFunc(name, notText) }

func notText(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp)
}
