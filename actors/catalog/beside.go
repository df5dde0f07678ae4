package catalog

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// mostBeside bounds the search for what somebody who finds no songs may have meant: a disk has millions of files.
const mostBeside = 2000

// otherMusic are the extensions of music that is no mp3.
var otherMusic = []string{".aac", ".aif", ".aiff", ".alac", ".ape", ".flac", ".m4a", ".mp2", ".oga", ".ogg", ".opus", ".wav", ".wma"}

// beside says what music there is in a folder without songs, and what to do about it; "" if there is none.
func beside(ctx context.Context, dir string) string {
	other, left := 0, mostBeside
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		left--
		switch hidden := path != dir && strings.HasPrefix(filepath.Base(path), "."); {
		case left < 0 || ctx.Err() != nil:
			return fs.SkipAll
		case err != nil || hidden && entry.IsDir():
			return fs.SkipDir
		case entry.IsDir() || hidden:
			return nil
		}
		if slices.Contains(otherMusic, strings.ToLower(filepath.Ext(path))) {
			other++
		}
		return nil
	})
	least := ""
	if left < 0 {
		least = "at least "
	}
	if other == 0 {
		return ""
	}
	return fmt.Sprintf("; music that is not mp3: %s%d, ffmpeg -i FILE NEW.mp3 makes mp3 of it", least, other)
}
