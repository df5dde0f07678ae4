package node

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"conga/actors/catalog/library"
)

const (
	// lacksEvery is how often a standby compares its songs with the radio's.
	lacksEvery = time.Minute
	// lacksNamed is how many songs it names.
	lacksNamed = 5
)

// tellLacks warns, until ctx ends, of songs that the radio has and this folder has not. songs returns the radio's.
func tellLacks(ctx context.Context, folder string, songs func() library.State, logger *slog.Logger) {
	var told []string
	for {
		lacks := lacking(ctx, folder, songs())
		switch {
		case ctx.Err() != nil:
			return
		case slices.Equal(lacks, told):
		case len(lacks) == 0:
			logger.Info("this server has all songs of the radio now")
		default:
			logger.Warn("this server lacks songs of the radio, and could not play them: copy them with their times", "lacks", len(lacks), "songs", strings.Join(lacks[:min(len(lacks), lacksNamed)], ", "))
		}
		told = lacks
		select {
		case <-time.After(lacksEvery):
		case <-ctx.Done():
			return
		}
	}
}

// lacking returns the songs whose files are not in the folder, or are others: the pacer takes a file only with the size and the
// time that the log knows.
func lacking(ctx context.Context, folder string, songs library.State) (lacks []string) {
	for _, name := range songs.Names() {
		if ctx.Err() != nil {
			return nil
		}
		info, err := os.Stat(filepath.Join(folder, filepath.FromSlash(name)))
		if song := songs.Find(name); err != nil || info.Size() != song.GetFileBytes() || info.ModTime().UnixMicro() != song.GetModifiedUnixUs() {
			lacks = append(lacks, name)
		}
	}
	return lacks
}
