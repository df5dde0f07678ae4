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

// Place is where a song of the radio lies, if not in the file that the radio's log means.
type Place struct {
	Song *library.Song
	File File // with the song's content; the zero value: none in the folder has it
}

// Stock is what a machine has of a radio's songs.
type Stock struct {
	Songs  int              // of the radio
	Places map[string]Place // by the song's name. Songs that are not here are there, too
	Lacks  []string         // names of songs that are not here, in order
	Other  []string         // names under which the folder has something else, in order
	Maybe  []string         // files whose sums are not known, and which by their size may be songs that are missing
	Unread []string         // other files whose sums are not known
	needs  map[string]bool
}

// Of compares the radio's songs with a folder. fetched says whether the machine has the content with this sum outside of the
// folder.
//
// A file of the right name, size and time is taken for the song until its sum says otherwise: as if it were the radio's own. Only
// mp3 files are known by their sums, because a server plays of other music what its ffmpeg has made.
func Of(songs iter.Seq[*library.Song], folder []File, fetched func(sum string) bool) Stock {
	byName, bySum := make(map[string]File, len(folder)), make(map[string]File, len(folder))
	for _, f := range folder {
		byName[f.Name] = f
		if before, is := bySum[f.Sum]; f.Sum != "" && (!is || f.Name < before.Name) {
			bySum[f.Sum] = f
		}
	}
	s := Stock{Places: map[string]Place{}, needs: map[string]bool{}}
	sizes := map[int64]bool{} // of songs that are missing
	for song := range songs {
		s.Songs++
		file, there := byName[song.Name]
		same := there && isSame(song, file)
		if there && !same {
			s.Other = append(s.Other, song.Name)
		}
		if same && file.ModifiedUs == song.ModifiedUnixUs {
			continue
		}
		place := Place{Song: song, File: file}
		if !same {
			place.File = bySum[song.Sum] // the sum is not empty there
		}
		s.Places[song.Name] = place
		s.needs[song.Sum] = s.needs[song.Sum] || place.File == (File{})
		if place.File == (File{}) && (song.Sum == "" || !fetched(song.Sum)) {
			s.Lacks = append(s.Lacks, song.Name)
			sizes[song.FileBytes] = sizes[song.FileBytes] || song.Sum != ""
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
	if song.Sum == "" || f.Sum == "" {
		return song.ModifiedUnixUs == f.ModifiedUs
	}
	return song.Sum == f.Sum
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
// radio may miss its songs only for now.
func Share(songs iter.Seq[*library.Song], objects []Object, most int64, first []string) (c Changes) {
	there := make(map[string]bool, len(objects))
	used := int64(0)
	for _, o := range objects {
		there[o.Sum] = true
		used += o.Bytes
	}
	wanted := map[string]bool{}
	var missing []*library.Song
	for song := range songs {
		if !Shared(song) || wanted[song.Sum] {
			continue
		}
		wanted[song.Sum] = true
		if !there[song.Sum] {
			missing = append(missing, song)
		}
	}
	rank := make(map[string]int, len(first))
	for i, name := range slices.Backward(first) {
		rank[name] = i - len(first)
	}
	slices.SortStableFunc(missing, func(a, b *library.Song) int { return cmp.Compare(rank[a.Name], rank[b.Name]) })
	old := slices.DeleteFunc(slices.Clone(objects), func(o Object) bool { return wanted[o.Sum] })
	slices.SortStableFunc(old, func(a, b Object) int {
		return cmp.Or(cmp.Compare(a.AddedUs, b.AddedUs), cmp.Compare(a.Sum, b.Sum))
	})
	free := most - used
	for _, song := range missing {
		gone, gains := 0, free
		for gains < song.FileBytes && gone < len(old) {
			gains += old[gone].Bytes
			gone++
		}
		if gains < song.FileBytes {
			c.NoRoom++
			continue
		}
		for _, o := range old[:gone] {
			c.Remove = append(c.Remove, o.Sum)
		}
		old, free = old[gone:], gains-song.FileBytes
		c.Put = append(c.Put, song)
	}
	return c
}

// Shared says whether servers share the song: they do if it is played as it is, and its sum is known.
func Shared(song *library.Song) bool { return song.Form == messages.Song_FORM_MP3 && song.Sum != "" }

// Fetch says which of the missing songs are among the objects, the first ones first, each content once.
func (s Stock) Fetch(objects []Object, first []string) (fetch []*library.Song) {
	sizes := make(map[string]int64, len(objects))
	for _, o := range objects {
		sizes[o.Sum] = o.Bytes
	}
	taken := map[string]bool{}
	for _, name := range slices.Concat(first, s.Lacks) {
		place, is := s.Places[name]
		if !is || place.File != (File{}) || taken[place.Song.Sum] {
			continue
		}
		_, lacks := slices.BinarySearch(s.Lacks, name)
		if size, there := sizes[place.Song.Sum]; lacks && there && Shared(place.Song) && size == place.Song.FileBytes {
			taken[place.Song.Sum] = true
			fetch = append(fetch, place.Song)
		}
	}
	return fetch
}

// Needs says whether a song of the radio has this content, and no file in the folder.
func (s Stock) Needs(sum string) bool { return s.needs[sum] }
