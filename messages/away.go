package messages

import (
	"maps"
	"strings"
)

// AwayFolders are the subfolders of the songs folder that cannot be seen now, by their paths, and why. They
// are immutable.
type AwayFolders map[string]string

// With returns the folders after one went away, or for another reason than before.
func (a AwayFolders) With(folder, reason string) AwayFolders {
	b := make(AwayFolders, len(a)+1)
	maps.Copy(b, a)
	b[folder] = reason
	return b
}

// Without returns the folders after one came back.
func (a AwayFolders) Without(folder string) AwayFolders {
	b := maps.Clone(a)
	delete(b, folder)
	if len(b) == 0 {
		return nil
	}
	return b
}

// Of returns the folder among them in which the song lies, however deep, and why that cannot be seen; "" if there is none.
func (a AwayFolders) Of(song string) (folder, reason string) {
	if len(a) == 0 {
		return "", ""
	}
	for at := strings.LastIndexByte(song, '/'); at > 0; at = strings.LastIndexByte(song[:at], '/') {
		if reason, is := a[song[:at]]; is {
			return song[:at], reason
		}
	}
	return "", ""
}
