// Package stock says which files of a machine are the songs of a radio that another server plays, by what they contain, and
// which songs must come from elsewhere. It follows from the lists alone: the package reads no clock and does no I/O.
package stock

import (
	"cmp"
	"iter"
	"slices"

	"conga/actors/catalog/library"
	"conga/messages"
)

// File is a file in a songs folder.
type File struct {
	Name       string // its path there, with slashes
	Bytes      int64
	ModifiedUs int64
	Sum        string // SHA-256 in hex; empty: not known yet
}

// Content is what is played of a song: its file, or the mp3 that was made of it.
type Content struct {
	Sum         string // SHA-256 in hex
	Least, Most int64  // bytes. Of an mp3 that was made, only those of its music are known
}

// around is how many bytes an mp3 that was made has around its music at most: a tag with title and artist, and a frame of figures.
const around = 64 << 10

// ContentOf returns what is played of the song. It is not known of a song that must be converted first.
func ContentOf(song *library.Song) (c Content, known bool) {
	switch song.Form {
	case messages.Song_FORM_MP3:
		return Content{song.Sum, song.FileBytes, song.FileBytes}, song.Sum != ""
	case messages.Song_FORM_CONVERTED:
		return Content{song.MadeSum, song.AudioBytes, song.AudioBytes + around}, song.MadeSum != ""
	}
	return Content{}, false
}

// Fits says whether so many bytes may be the content.
func (c Content) Fits(bytes int64) bool { return c.Least <= bytes && bytes <= c.Most }

// fileSum is the SHA-256 of the song's file in hex; empty: not known.
func fileSum(song *library.Song) string {
	if song.Form == messages.Song_FORM_CONVERTED {
		return song.MadeOf
	}
	return song.Sum
}

// Place is where a song of the radio lies, if not in the file that the radio's log means.
type Place struct {
	Song *library.Song
	File File // with the song's content; the zero value: none in the folder has it
}

// Has says what a machine has beside its songs folder.
type Has struct {
	Fetched func(sum string) bool     // a content that was fetched
	Made    func(of, sum string) bool // the mp3 with this sum, which was made here of the file with that one
}

// Stock is what a machine has of a radio's songs.
type Stock struct {
	Songs   int              // of the radio
	Places  map[string]Place // by the song's name. Songs that are not here are there, too
	Lacks   []string         // names of songs that cannot be played here, in order
	Unmade  int              // so many of them only for want of an mp3: the file is here
	Other   []string         // names under which the folder has something else, in order
	Maybe   []string         // files whose sums are not known, and which by their size may be songs that are missing
	Unread  []string         // other files whose sums are not known
	needs   map[string]bool
	lacking map[string]*library.Song // by name
}

// Of compares the radio's songs with what a machine has.
//
// A file of the right name, size and time is taken for the song until its sum says otherwise: as if it were the radio's own. Of
// music that must be converted the mp3 counts that the radio plays: another ffmpeg makes other bytes of the same file.
func Of(songs iter.Seq[*library.Song], folder []File, has Has) Stock {
	byName, bySum := make(map[string]File, len(folder)), make(map[string]File, len(folder))
	for _, f := range folder {
		byName[f.Name] = f
		if before, is := bySum[f.Sum]; f.Sum != "" && (!is || f.Name < before.Name) {
			bySum[f.Sum] = f
		}
	}
	s := Stock{Places: map[string]Place{}, needs: map[string]bool{}, lacking: map[string]*library.Song{}}
	sizes := map[int64]bool{} // of files that are missing
	for song := range songs {
		s.Songs++
		file, there := byName[song.Name]
		same := there && isSame(song, file)
		if there && !same {
			s.Other = append(s.Other, song.Name)
		}
		place := Place{Song: song, File: file}
		if !same {
			place.File = bySum[fileSum(song)] // the sum is not empty there
		}
		if !same || file.ModifiedUs != song.ModifiedUnixUs {
			s.Places[song.Name] = place
		}
		content, known := ContentOf(song)
		here := place.File != (File{})
		plays := here && (song.Form != messages.Song_FORM_CONVERTED || has.Made(song.MadeOf, song.MadeSum))
		s.needs[content.Sum] = s.needs[content.Sum] || known && !plays
		if plays || known && has.Fetched(content.Sum) {
			continue
		}
		s.Lacks = append(s.Lacks, song.Name)
		s.lacking[song.Name] = song
		if here {
			s.Unmade++
		} else {
			sizes[song.FileBytes] = sizes[song.FileBytes] || fileSum(song) != ""
		}
	}
	for _, f := range folder {
		switch {
		case f.Sum != "":
		case sizes[f.Bytes]:
			s.Maybe = append(s.Maybe, f.Name)
		default:
			s.Unread = append(s.Unread, f.Name)
		}
	}
	slices.Sort(s.Lacks)
	slices.Sort(s.Other)
	return s
}

// isSame says whether the file has the song's content, as far as is known.
func isSame(song *library.Song, f File) bool {
	if song.FileBytes != f.Bytes {
		return false
	}
	if sum := fileSum(song); sum != "" && f.Sum != "" {
		return sum == f.Sum
	}
	return song.ModifiedUnixUs == f.ModifiedUs
}

// Object is what the servers of a radio share of a song.
type Object struct {
	Sum     string
	Bytes   int64
	AddedUs int64 // unix microseconds
}

// Changes are what a leader changes of the shared objects.
type Changes struct {
	Put    []*library.Song // in this order
	Remove []string        // sums, before anything is put
	NoRoom int             // so many songs have no place
}

// Share says what is missing among the objects, which may have most bytes. The songs that are called first come first, because
// they will be needed first. What is not a song any more is only removed, the oldest first, if there is no room without that: the
// radio may miss its songs only for now. An object that by its size cannot be the song is removed, and the song put in its place.
func Share(songs iter.Seq[*library.Song], objects []Object, most int64, first []string) (c Changes) {
	wanted := map[string]Content{}
	var shared []*library.Song
	for song := range songs {
		content, known := ContentOf(song)
		if _, twice := wanted[content.Sum]; !known || twice {
			continue
		}
		wanted[content.Sum] = content
		shared = append(shared, song)
	}
	there := make(map[string]bool, len(objects))
	var old []Object
	free, spare := most, int64(0) // spare: in old
	for _, o := range objects {
		switch content, is := wanted[o.Sum]; {
		case is && !content.Fits(o.Bytes):
			c.Remove = append(c.Remove, o.Sum)
			continue
		case is:
			there[o.Sum] = true
		default:
			old = append(old, o)
			spare += o.Bytes
		}
		free -= o.Bytes
	}
	missing := slices.DeleteFunc(shared, func(song *library.Song) bool { content, _ := ContentOf(song); return there[content.Sum] })
	rank := make(map[string]int, len(first))
	for i, name := range slices.Backward(first) {
		rank[name] = i - len(first)
	}
	slices.SortStableFunc(missing, func(a, b *library.Song) int { return cmp.Compare(rank[a.Name], rank[b.Name]) })
	slices.SortStableFunc(old, func(a, b Object) int {
		return cmp.Or(cmp.Compare(a.AddedUs, b.AddedUs), cmp.Compare(a.Sum, b.Sum))
	})
	for _, song := range missing {
		content, _ := ContentOf(song)
		if free+spare < content.Most {
			c.NoRoom++
			continue
		}
		for free < content.Most {
			c.Remove = append(c.Remove, old[0].Sum)
			free, spare, old = free+old[0].Bytes, spare-old[0].Bytes, old[1:]
		}
		free -= content.Most
		c.Put = append(c.Put, song)
	}
	return c
}

// Fetch says which of the missing songs are among the objects, the first ones first, each content once.
func (s Stock) Fetch(objects []Object, first []string) (fetch []*library.Song) {
	sizes := make(map[string]int64, len(objects))
	for _, o := range objects {
		sizes[o.Sum] = o.Bytes
	}
	taken := map[string]bool{}
	for _, name := range slices.Concat(first, s.Lacks) {
		song, lacks := s.lacking[name]
		if !lacks {
			continue
		}
		content, known := ContentOf(song)
		if size, there := sizes[content.Sum]; known && there && content.Fits(size) && !taken[content.Sum] {
			taken[content.Sum] = true
			fetch = append(fetch, song)
		}
	}
	return fetch
}

// Needs says whether a song of the radio has this content, and this machine has it only if it was fetched.
func (s Stock) Needs(sum string) bool { return s.needs[sum] }
