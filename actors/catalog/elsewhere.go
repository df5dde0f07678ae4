package catalog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"conga/actors/catalog/library"
	"conga/actors/catalog/stock"
	"conga/messages"
)

// Elsewhere has songs that do not lie in the songs folder under their names: a server that takes over from another may have them
// under other names, with other times, or fetched. It also has the mp3 files that the other one has made of other music. It is
// immutable; nil has no songs.
type Elsewhere struct {
	fetched *Fetched // nil: nothing is fetched
	places  map[string]stock.Place
	songs   map[string][]string // names of songs by the file in the songs folder that has them
}

// NewElsewhere takes the places from a comparison. Files that are fetched later count from then on.
func NewElsewhere(places map[string]stock.Place, fetched *Fetched) *Elsewhere {
	e := &Elsewhere{fetched: fetched, places: places, songs: map[string][]string{}}
	for name, place := range places {
		if file := place.File.Name; file != "" {
			e.songs[file] = append(e.songs[file], name)
		}
	}
	return e
}

// in are the songs that the file in the songs folder has instead of the one of its own name.
func (e *Elsewhere) in(f found) (songs []*library.Song) {
	if e == nil {
		return nil
	}
	for _, name := range e.songs[f.name] {
		if place := e.places[name]; f.size == place.File.Bytes && f.modified.UnixMicro() == place.File.ModifiedUs {
			songs = append(songs, place.Song)
		}
	}
	return songs
}

// has says whether the song of that name lies elsewhere, so that a file of its name is not it.
func (e *Elsewhere) has(name string) bool {
	if e == nil {
		return false
	}
	place, is := e.places[name]
	return is && (place.File.Name != "" && place.File.Name != name || place.File.Name == "" && e.fetched.Has(place.Song))
}

// arrived yields the songs that were fetched.
func (e *Elsewhere) arrived(yield func(*library.Song) bool) {
	if e == nil {
		return
	}
	for _, place := range e.places {
		if place.File.Name == "" && e.fetched.Has(place.Song) && !yield(place.Song) {
			return
		}
	}
}

// Made opens the mp3 with that sum, which another server has made of other music.
func (e *Elsewhere) Made(sum string) (*os.File, error) {
	if e == nil || e.fetched == nil {
		return nil, fs.ErrNotExist
	}
	return e.fetched.Open(sum)
}

// keeps says whether what is played of the song was fetched.
func (e *Elsewhere) keeps(song *library.Song) bool { return e != nil && e.fetched.Has(song) }

// path is where the song's file should be.
func (e *Elsewhere) path(dir, name string) string {
	at := found{name: name}
	if e != nil && e.places[name].File.Name != "" {
		at.name = e.places[name].File.Name
	}
	return at.in(dir)
}

// hidden says whether one of the known files should be in the songs folder, and is not among those that were seen.
func (e *Elsewhere) hidden(known, seen map[string]file) bool {
	if e == nil {
		return false
	}
	for name := range known {
		if _, is := seen[name]; is {
			continue
		}
		if _, is := e.places[name]; !is {
			return true
		}
	}
	return false
}

// Open opens the file of a song that lies elsewhere, and says which one it is. found is false if it does not.
func (e *Elsewhere) Open(dir, name string) (f io.ReadCloser, song *messages.Song, found bool, err error) {
	if e == nil {
		return nil, nil, false, nil
	}
	place, is := e.places[name]
	switch {
	case !is:
		return nil, nil, false, nil
	case place.File.Name == "":
		if !e.fetched.Has(place.Song) {
			return nil, nil, false, nil
		}
		content, _ := stock.ContentOf(place.Song) // it was known when it was fetched
		f, err = e.fetched.Open(content.Sum)
	default:
		f, err = openSeen(dir, place.File)
	}
	if err != nil {
		return nil, nil, true, fmt.Errorf("open song %s: %w", name, err)
	}
	return f, place.Song.Message(), true, nil
}

var errOther = errors.New("the file that had it has changed")

// openSeen opens a file if it is as it was.
func openSeen(dir string, as stock.File) (*os.File, error) {
	f, err := openRegular(found{name: as.Name}.in(dir))
	if err != nil {
		return nil, errors.New(cause(err))
	}
	info, err := f.Stat()
	if err == nil && (info.Size() != as.Bytes || info.ModTime().UnixMicro() != as.ModifiedUs) {
		err = errOther
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}
