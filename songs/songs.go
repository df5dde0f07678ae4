// Package songs holds three songs, free of rights, so that a demo plays wherever it is started.
package songs

import "embed"

// Files are the songs by their names.
//
//go:embed *.mp3
var Files embed.FS
