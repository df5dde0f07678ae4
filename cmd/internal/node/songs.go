package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"conga/actors/catalog"
	"conga/cmd/internal/disk"
)

// songsFile holds the path of the songs folder that was there at the last start.
const songsFile = "songs_folder"

// CheckSongs refuses a songs folder that is not there or cannot be read. If this server has played from it
// before, it waits for the folder instead, because its disk may be mounted later.
func CheckSongs(songs, data string) error {
	missing := catalog.Check(songs)
	if missing == nil || errors.Is(missing, catalog.ErrNoFolder) {
		return missing
	}
	before, err := os.ReadFile(filepath.Join(data, songsFile))
	if err != nil {
		return missing // the server is new, or OpenData says what is wrong with its data
	}
	known := strings.TrimSuffix(string(before), "\n")
	if path, err := filepath.Abs(songs); err == nil && path == known {
		return nil
	}
	return fmt.Errorf("%w; at its last start this server had --songs %s", missing, known)
}

// keepSongs remembers a songs folder that is there.
func keepSongs(songs, data string) error {
	path, err := filepath.Abs(songs)
	if err != nil || catalog.Check(songs) != nil {
		return err
	}
	file := filepath.Join(data, songsFile)
	if before, err := os.ReadFile(file); err == nil && string(before) == path+"\n" {
		return nil
	}
	return disk.WriteFile(file, []byte(path+"\n"), 0o644)
}
