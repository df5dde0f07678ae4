package messages

import (
	"path"
	"slices"
	"strings"
)

// endings are those of files that may be songs.
var endings = []string{".mp3", ".aac", ".aif", ".aiff", ".ape", ".flac", ".m4a", ".m4b", ".mp2", ".oga", ".ogg", ".opus", ".wav", ".wma", ".wv"}

// SongEnding is the ending of a song's name, as it is written there; "" if no file of music ends so.
func SongEnding(name string) string {
	if ending := path.Ext(name); slices.Contains(endings, strings.ToLower(ending)) {
		return ending
	}
	return ""
}

// SongEndings are those of files that may be songs, in small letters.
func SongEndings() []string { return slices.Clone(endings) }
