package songstore

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"conga/actors/catalog/stock"
	"conga/cmd/internal/disk"
)

// sumsFile keeps the sums of the files in the songs folder.
const sumsFile = "song_sums.json"

// keepEvery is how often new sums are written at most: there may be many thousand.
const keepEvery = time.Minute

// sums are those of files, by their names. A file with another size or time has no sum yet.
type sums struct {
	path  string
	files map[string]stock.File
	fresh bool // not all are written
	kept  time.Time
}

// openSums reads the sums that are kept in the data folder, if there is one. If that fails, the files are read again.
func openSums(data string) *sums {
	s := &sums{files: map[string]stock.File{}}
	if data == "" {
		return s
	}
	s.path = filepath.Join(data, sumsFile)
	text, err := os.ReadFile(s.path)
	var all []stock.File
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil {
		return s
	}
	for _, f := range all {
		s.files[f.Name] = f
	}
	return s
}

// of completes a file with its sum, if that is known.
func (s *sums) of(f stock.File) stock.File {
	if known, is := s.files[f.Name]; is && known.Bytes == f.Bytes && known.ModifiedUs == f.ModifiedUs {
		f.Sum = known.Sum
	}
	return f
}

func (s *sums) add(f stock.File) { s.files[f.Name], s.fresh = f, true }

// only forgets files that are not there any more.
func (s *sums) only(files []stock.File) {
	there := make(map[string]bool, len(files))
	for _, f := range files {
		there[f.Name] = true
	}
	for name := range s.files {
		if !there[name] {
			delete(s.files, name)
			s.fresh = true
		}
	}
}

// keep writes them, not too often, or now.
func (s *sums) keep(now bool) error {
	if s.path == "" || !s.fresh || !now && time.Since(s.kept) < keepEvery {
		return nil
	}
	s.kept = time.Now()
	all := make([]stock.File, 0, len(s.files))
	for _, f := range s.files {
		all = append(all, f)
	}
	text, err := json.Marshal(all)
	if err == nil {
		err = disk.WriteFile(s.path, text, 0o644)
	}
	if errors.Is(err, fs.ErrNotExist) { // the data folder is made later
		return nil
	}
	s.fresh = err != nil
	return err
}
