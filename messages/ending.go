package messages

import (
	"path"
	"slices"
	"strings"
)

// endings are the extensions of files that may be songs.
var endings = []string{".mp3", ".aac", ".aif", ".aiff", ".ape", ".flac", ".m4a", ".m4b", ".mp2", ".oga", ".ogg", ".opus", ".wav", ".wma", ".wv"}

// SongEnding is the extension of a song's name, as it is written there; "" if it is none of music.
func SongEnding(name string) string {
	if ending := path.Ext(name); slices.Contains(endings, strings.ToLower(ending)) {
		return ending
	}
	return ""
}

// SongEndings are the extensions of files that may be songs, in small letters.
func SongEndings() []string { return slices.Clone(endings) }
