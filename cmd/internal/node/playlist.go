package node

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"

	"conga/messages"
)

const (
	// maxPlaylist and maxEntries bound a playlist, because all of it goes into the log.
	maxPlaylist = 4 << 20
	maxEntries  = 5000
)

// Playlist is what plays when nobody has asked for anything. With the zero value random songs play.
type Playlist struct {
	Songs   []string // names as in the catalog
	Shuffle bool
	Unknown []string // lines for which there is no file now
}

func (p Playlist) message() *messages.SetPlaylist {
	return &messages.SetPlaylist{Songs: p.Songs, Shuffle: p.Shuffle, Seed: rand.Uint64()}
}

// ReadPlaylist reads an m3u or m3u8 file. Its lines are paths, relative to its own folder or to the songs folder.
func ReadPlaylist(file, songs string, shuffle bool) (Playlist, error) {
	list := Playlist{Shuffle: shuffle}
	f, err := os.Open(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return list, fmt.Errorf("there is no playlist %s: name an m3u or m3u8 file", file)
	case err != nil:
		return list, fmt.Errorf("open the playlist: %w", err)
	}
	defer func() { _ = f.Close() }() // nothing was written
	if about, err := f.Stat(); err == nil && about.IsDir() {
		return list, fmt.Errorf("the playlist %s is a folder: name an m3u or m3u8 file", file)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxPlaylist+1))
	switch {
	case err != nil:
		return list, fmt.Errorf("read the playlist: %w", err)
	case len(text) > maxPlaylist:
		return list, fmt.Errorf("the playlist %s has more than %d MB: is it one?", file, maxPlaylist>>20)
	case bytes.IndexByte(text, 0) >= 0:
		return list, fmt.Errorf("the playlist %s is no text: name an m3u or m3u8 file, in UTF-8", file)
	}
	folder, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return list, err
	}
	root, err := filepath.Abs(songs)
	if err != nil {
		return list, err
	}
	for line := range strings.Lines(decoded(text)) {
		if line = strings.TrimRight(line, "\r\n"); strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, there := songIn(line, folder, root)
		if name != "" {
			list.Songs = append(list.Songs, name)
		}
		if !there {
			list.Unknown = append(list.Unknown, line)
		}
		if len(list.Songs)+len(list.Unknown) > maxEntries {
			return list, fmt.Errorf("the playlist %s has more than %d songs: make it shorter", file, maxEntries)
		}
	}
	if len(list.Songs) == 0 {
		return list, fmt.Errorf("the playlist %s names no song in the songs folder %s", file, songs)
	}
	return list, nil
}

// Warn names the entries that cannot play now.
func (p Playlist) Warn(logger *slog.Logger) {
	const few = 5
	if n := len(p.Unknown); n > 0 {
		logger.Warn("lines of the playlist lead to no song in the songs folder now; they are passed over", "lines", n, "such as", strings.Join(p.Unknown[:min(n, few)], ", "))
	}
}

// decoded is the text of a playlist. An m3u does not say how it is encoded; what is not UTF-8 is read as Windows-1252.
func decoded(text []byte) string {
	s := string(text)
	if !utf8.ValidString(s) {
		if read, err := charmap.Windows1252.NewDecoder().String(s); err == nil {
			s = read
		}
	}
	return strings.TrimPrefix(s, "\ufeff")
}

// songIn is the name in the songs folder of the song that a line means, and whether that file is there now; it may come
// later. "": the line leads out of the folder.
func songIn(line, folder, root string) (name string, there bool) {
	var names []string
	for _, path := range slices.Compact([]string{line, strings.ReplaceAll(line, `\`, "/")}) { // Windows writes such lists
		ways := []string{filepath.Join(folder, path), filepath.Join(root, path)}
		if filepath.IsAbs(path) {
			ways = []string{path}
		}
		for _, way := range ways {
			inside, err := filepath.Rel(root, way)
			if err != nil || !filepath.IsLocal(inside) || inside == "." {
				continue
			}
			name := filepath.ToSlash(inside)
			if _, err := os.Stat(way); !errors.Is(err, fs.ErrNotExist) {
				return name, err == nil
			}
			names = append(names, name)
		}
	}
	if len(names) == 0 || len(names[len(names)-1]) > messages.MaxSongName || strings.Contains(line, "://") {
		return "", false
	}
	return names[len(names)-1], false
}
