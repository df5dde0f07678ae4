package songstore

import (
	"context"
	"io"
	"io/fs"
	"path/filepath"

	"conga/actors/catalog"
	"conga/actors/catalog/stock"
)

// FetchedFolder is where a server keeps the songs that it has fetched.
func FetchedFolder(data string) string { return filepath.Join(data, "fetched") }

// Finder finds songs by what they contain, as a server does that stands by: in its songs folder, under any name, and among those
// that it has fetched. It changes nothing there, and is for one goroutine.
type Finder struct {
	songs, fetched string
	sums           *sums
	bySize         map[int64][]stock.File // nil: nobody has looked yet
}

// NewFinder takes a server's songs folder and its data folder.
func NewFinder(songs, data string) *Finder {
	return &Finder{songs: songs, fetched: FetchedFolder(data), sums: openSums(data)}
}

// Fetched opens the file with that SHA-256 among those that were fetched.
func (f *Finder) Fetched(sum string) (io.ReadCloser, error) {
	file, err := catalog.OpenFetchedSong(f.fetched, sum)
	if err != nil {
		return nil, err // no *os.File that is nil
	}
	return file, nil
}

// Open opens a file with that SHA-256 and size. It reads those whose sums are not known.
func (f *Finder) Open(ctx context.Context, sum string, bytes int64) (io.ReadCloser, error) {
	if file, err := f.Fetched(sum); err == nil {
		return file, nil
	}
	if f.bySize == nil {
		files, err := catalog.Files(ctx, f.songs)
		if err != nil {
			return nil, err
		}
		f.bySize = map[int64][]stock.File{}
		for _, file := range files {
			f.bySize[file.Bytes] = append(f.bySize[file.Bytes], file)
		}
	}
	for _, file := range f.bySize[bytes] {
		file = f.sums.of(file)
		if file.Sum == "" {
			var err error
			if file.Sum, err = catalog.SumOf(ctx, f.songs, file); err != nil {
				continue
			}
			f.sums.add(file)
		}
		if file.Sum == sum {
			return catalog.Open(f.songs, file.Name)
		}
	}
	return nil, fs.ErrNotExist
}
