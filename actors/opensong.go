package actors

import (
	"errors"
	"fmt"
	"io"
	"os"

	"conga/actors/catalog"
	"conga/actors/internal/transcode"
	"conga/actors/pacer"
)

// SongsIn opens songs for one who only reads: beside a server that uses the folders, or without one. converted is the
// folder of the files that were made of other music; elsewhere may be nil.
func SongsIn(songs, converted string, elsewhere *catalog.Elsewhere) pacer.Opener {
	return func(name, of, sum string) (pacer.File, error) {
		made := func(made transcode.Made) (io.ReadSeekCloser, error) {
			f, err := transcode.Read(converted, made)
			if errors.Is(err, transcode.ErrGone) {
				err = errors.New("the mp3 that was made of it is no longer in the folder of converted songs")
			}
			return f, err
		}
		return openSong(songs, elsewhere, made, name, transcode.Made{Of: of, Sum: sum})
	}
}

// openSong opens a song, or the mp3 that was made from it; elsewhere and converted may be nil.
func openSong(dir string, elsewhere *catalog.Elsewhere, converted func(transcode.Made) (io.ReadSeekCloser, error), name string, made transcode.Made) (pacer.File, error) {
	if made != (transcode.Made{}) {
		f, err := openMade(elsewhere, converted, made)
		if err != nil {
			return pacer.File{}, err
		}
		return pacer.File{ReadCloser: f}, nil
	}
	if f, song, found, err := elsewhere.Open(dir, name); found {
		return pacer.File{ReadCloser: f, Bytes: song.GetFileBytes(), ModifiedUs: song.GetModifiedUnixUs()}, err
	}
	f, err := catalog.Open(dir, name)
	if err != nil {
		return pacer.File{}, err
	}
	file := pacer.File{ReadCloser: f}
	if on, ok := f.(interface{ Stat() (os.FileInfo, error) }); ok {
		info, err := on.Stat()
		if err != nil {
			_ = f.Close()
			return pacer.File{}, fmt.Errorf("open song %s: %w", name, err)
		}
		file.Bytes, file.ModifiedUs = info.Size(), info.ModTime().UnixMicro()
	}
	return file, nil
}

// openMade opens the mp3, made here or by another server of the radio.
func openMade(elsewhere *catalog.Elsewhere, converted func(transcode.Made) (io.ReadSeekCloser, error), made transcode.Made) (io.ReadCloser, error) {
	err := transcode.ErrGone
	if converted != nil {
		var f io.ReadCloser
		if f, err = converted(made); err == nil {
			return f, nil
		}
	}
	if f, there := elsewhere.Made(made.Sum); there == nil {
		return f, nil
	}
	return nil, err
}
