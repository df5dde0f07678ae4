package catalog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ErrNoFolder means that waiting will not make this a songs folder.
var ErrNoFolder = errors.New("not a folder")

// Check says why dir is no songs folder now, and what to do. It returns nil if it is one, even an empty one.
func Check(dir string) error {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		return fmt.Errorf("%s is %w: name the folder that your music is in, with --songs DIR", dir, ErrNoFolder)
	}
	if err == nil {
		_, err = os.ReadDir(dir)
	}
	if err == nil {
		return nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no folder %s: make it, or name the folder that your music is in, with --songs DIR", dir)
	}
	return fmt.Errorf("the songs folder %s cannot be read: %s: make it readable, or name another with --songs DIR", dir, cause(err))
}

// HasSong is Check for a command that needs music at once. It is also an error if no file in dir
// can be played.
func HasSong(dir string) error {
	if err := Check(dir); err != nil {
		return err
	}
	var songs []found
	w := &walk{ctx: context.Background(), watch: func(string) {}, song: func(f found) { songs = append(songs, f) }}
	if err := cmp.Or(w.root(dir), w.err); err != nil {
		return fmt.Errorf("the songs folder %s cannot be read: %s", dir, cause(err))
	}
	files, why := 0, ""
	for _, found := range songs {
		if !strings.EqualFold(filepath.Ext(found.name), ".mp3") {
			continue
		}
		song, _, reason, _ := judge(w.ctx, dir, found, false)
		if song != nil {
			return nil
		}
		files, why = files+1, found.name+": "+reason
	}
	if files == 0 {
		return fmt.Errorf("there are no .mp3 files in the songs folder %s: put some there, or name another with --songs DIR", dir)
	}
	return fmt.Errorf("none of the %d .mp3 files in the songs folder %s can be played (%s): put others there, or name another with --songs DIR", files, dir, why)
}
