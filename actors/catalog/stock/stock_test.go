package stock

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"conga/actors/catalog/library"
	"conga/actors/internal/story"
	"conga/messages"
)

// TestStories: "radio a.mp3=A:4@1" says that the radio has this song, with the content A, of 4 bytes and from the time 1; "folder"
// says the same of this machine's folder, where =? is a sum that is not known yet; "fetched A" of what it has fetched;
// "store A:4@1" of what the servers share. "radio a.ogg=O/A:4@1" is a song of which the file has the content O and the mp3 that was
// made of it the content A, with 4 bytes of music; "made O/A" says that this machine has that. "compare", "fetch" and
// "share 100 first.mp3" ask.
func TestStories(t *testing.T) {
	story.Each(t, "testdata", func() story.Teller {
		var m machine
		return m.tell
	})
}

type machine struct {
	radio   []*library.Song
	folder  []File
	fetched []string
	made    []string
	store   []Object
}

func (m *machine) tell(t *testing.T, line string) (follows []string, err error) {
	words := strings.Fields(line)
	switch what, args := words[0], words[1:]; what {
	case "radio":
		m.radio = nil
		for _, f := range files(t, args) {
			m.radio = append(m.radio, songOf(f))
		}
	case "folder":
		m.folder = files(t, args)
	case "fetched":
		m.fetched = args
	case "made":
		m.made = args
	case "store":
		m.store = nil
		for _, f := range files(t, args) {
			m.store = append(m.store, Object{Sum: f.Name, Bytes: f.Bytes, AddedUs: f.ModifiedUs})
		}
	case "compare":
		return m.compare(), nil
	case "fetch":
		for _, song := range m.stock().Fetch(m.store, args) {
			content, _ := ContentOf(song)
			follows = append(follows, "fetch "+content.Sum+" for "+song.Name)
		}
		return follows, nil
	case "share":
		most, err := strconv.ParseInt(args[0], 10, 64)
		if err != nil {
			return nil, err
		}
		c := Share(slices.Values(m.radio), m.store, most, args[1:])
		for _, sum := range c.Remove {
			follows = append(follows, "remove "+sum)
		}
		for _, song := range c.Put {
			content, _ := ContentOf(song)
			follows = append(follows, "put "+content.Sum+" of "+song.Name)
		}
		if c.NoRoom > 0 {
			follows = append(follows, fmt.Sprintf("no room for %d", c.NoRoom))
		}
		return follows, nil
	default:
		return nil, fmt.Errorf("unknown word %s", what)
	}
	return nil, nil
}

func (m *machine) stock() Stock {
	return Of(slices.Values(m.radio), m.folder, Has{
		Fetched: func(sum string) bool { return slices.Contains(m.fetched, sum) },
		Made:    func(of, sum string) bool { return slices.Contains(m.made, of+"/"+sum) },
	})
}

// songOf makes a song of a file whose sum may be OF/SUM.
func songOf(f File) *library.Song {
	song := &library.Song{Name: f.Name, Sum: f.Sum, FileBytes: f.Bytes, ModifiedUnixUs: f.ModifiedUs}
	if of, sum, made := strings.Cut(f.Sum, "/"); made {
		song.Form, song.Sum, song.MadeOf, song.MadeSum, song.AudioBytes = messages.Song_FORM_CONVERTED, "", of, sum, f.Bytes
	}
	return song
}

func (m *machine) compare() (follows []string) {
	s := m.stock()
	for _, name := range slices.Sorted(maps.Keys(s.Places)) {
		if file := s.Places[name].File; file != (File{}) {
			follows = append(follows, name+" is "+file.Name)
		} else if !slices.Contains(s.Lacks, name) {
			follows = append(follows, name+" was fetched")
		}
	}
	if s.Unmade > 0 {
		follows = append(follows, fmt.Sprintf("%d not made", s.Unmade))
	}
	for _, part := range []struct {
		what  string
		names []string
	}{{"lacks", s.Lacks}, {"other", s.Other}, {"maybe", s.Maybe}, {"unread", s.Unread}} {
		if len(part.names) > 0 {
			follows = append(follows, part.what+" "+strings.Join(part.names, " "))
		}
	}
	return follows
}

// files reads NAME=SUM:BYTES@TIME; all but the name may be missing.
func files(t *testing.T, words []string) (all []File) {
	for _, word := range words {
		word, at, _ := strings.Cut(word, "@")
		word, size, _ := strings.Cut(word, ":")
		name, sum, _ := strings.Cut(word, "=")
		f := File{Name: name, Sum: strings.Trim(sum, "?")}
		for text, to := range map[string]*int64{at: &f.ModifiedUs, size: &f.Bytes} {
			if n, err := strconv.ParseInt(text, 10, 64); err == nil {
				*to = n
			} else if text != "" {
				t.Fatal(err)
			}
		}
		all = append(all, f)
	}
	return all
}

var (
	names = []string{"a", "b", "c", "d"}
	sums  = []string{"", "A", "B", "C"}
)

// Whatever a machine has: each song of the radio is in its own file, in another with the same content, was fetched, or is missing,
// and nothing else is said to be it. One that was converted is there only if the mp3 is that the radio plays, whoever made it. What is
// then fetched from a store that has everything leaves only songs without a sum.
func TestStock_Property(t *testing.T) {
	sizes := map[string]int64{"": 9, "A": 1, "B": 2, "C": 2, "X": 3, "Y": 3}
	mp3s := []string{"X", "Y"}
	rapid.Check(t, func(t *rapid.T) {
		draw := func(what string) (all []File) {
			for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, len(names), rapid.ID).Draw(t, what) {
				sum := rapid.SampledFrom(sums).Draw(t, "sum")
				all = append(all, File{name, sizes[sum], rapid.Int64Range(0, 1).Draw(t, "time"), sum})
			}
			return all
		}
		var m machine
		for _, f := range draw("radio") {
			if f.Sum != "" && rapid.Bool().Draw(t, "converted") {
				f.Sum += "/" + rapid.SampledFrom(mp3s).Draw(t, "mp3")
			}
			m.radio = append(m.radio, songOf(f))
		}
		m.folder = draw("folder")
		all := slices.Concat(sums[1:], mp3s)
		m.fetched = rapid.SliceOfDistinct(rapid.SampledFrom(all), rapid.ID).Draw(t, "fetched")
		for _, of := range sums[1:] {
			for _, sum := range mp3s {
				if rapid.Bool().Draw(t, "made") {
					m.made = append(m.made, of+"/"+sum)
				}
			}
		}
		for _, sum := range all {
			m.store = append(m.store, Object{Sum: sum, Bytes: sizes[sum]})
		}
		s := m.stock()
		for _, song := range m.radio {
			place, moved := s.Places[song.Name]
			lacks := slices.Contains(s.Lacks, song.Name)
			file := place.File
			if !moved {
				i := slices.IndexFunc(m.folder, func(f File) bool { return f.Name == song.Name })
				if i < 0 || m.folder[i].Bytes != song.FileBytes || m.folder[i].ModifiedUs != song.ModifiedUnixUs {
					t.Fatalf("%v is said to be in its file: %v", song, m.folder)
				}
				file = m.folder[i]
			} else if file != (File{}) && (!slices.Contains(m.folder, file) || file.Sum != fileSum(song) || file.Sum == "") {
				t.Fatalf("%v is said to be %v", song, file)
			}
			content, known := ContentOf(song)
			plays := file != (File{}) && (song.MadeOf == "" || slices.Contains(m.made, song.MadeOf+"/"+song.MadeSum))
			if lacks == (plays || known && slices.Contains(m.fetched, content.Sum)) {
				t.Fatalf("%v is missing: %v; fetched are %v, made %v", song, lacks, m.fetched, m.made)
			}
			if known && !plays && !s.Needs(content.Sum) {
				t.Fatalf("%s is said not to be needed, for %v", content.Sum, song)
			}
		}
		for _, song := range s.Fetch(m.store, nil) {
			content, _ := ContentOf(song)
			if slices.Contains(m.fetched, content.Sum) {
				t.Fatalf("%v is fetched again", song)
			}
			m.fetched = append(m.fetched, content.Sum)
		}
		for _, name := range m.stock().Lacks {
			if i := slices.IndexFunc(m.radio, func(s *library.Song) bool { return s.Name == name }); m.radio[i].Sum != "" || m.radio[i].MadeSum != "" {
				t.Fatalf("it lacks %s after fetching", name)
			}
		}
	})
}

// What is shared never exceeds the room, no song loses its object, and what has room is shared.
func TestShare_Property(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := []string{"A", "B", "C", "D", "E", "F"}
		size := map[string]int64{}
		for _, sum := range all {
			size[sum] = rapid.Int64Range(1, 5).Draw(t, "size")
		}
		var m machine
		for i, sum := range rapid.SliceOf(rapid.SampledFrom(all)).Draw(t, "songs") {
			m.radio = append(m.radio, &library.Song{Name: fmt.Sprint(i), Sum: sum, FileBytes: size[sum]})
		}
		most := rapid.Int64Range(0, 25).Draw(t, "most")
		used := int64(0)
		for _, sum := range rapid.SliceOfDistinct(rapid.SampledFrom(all), rapid.ID).Draw(t, "store") {
			if used+size[sum] <= most {
				used += size[sum]
				m.store = append(m.store, Object{Sum: sum, Bytes: size[sum], AddedUs: rapid.Int64Range(0, 9).Draw(t, "added")})
			}
		}
		c := Share(slices.Values(m.radio), m.store, most, nil)
		has := map[string]bool{}
		for _, o := range m.store {
			has[o.Sum] = true
		}
		for _, sum := range c.Remove {
			if !has[sum] || slices.ContainsFunc(m.radio, func(s *library.Song) bool { return s.Sum == sum }) {
				t.Fatalf("it removes %s", sum)
			}
			delete(has, sum)
			used -= size[sum]
		}
		for _, song := range c.Put {
			if has[song.Sum] {
				t.Fatalf("it puts %s twice", song.Sum)
			}
			has[song.Sum] = true
			used += size[song.Sum]
		}
		if used > most {
			t.Fatalf("%d bytes are shared, %d may be", used, most)
		}
		missing := 0
		for _, sum := range all {
			if !has[sum] && slices.ContainsFunc(m.radio, func(s *library.Song) bool { return s.Sum == sum }) {
				missing++
			}
		}
		if missing != c.NoRoom {
			t.Fatalf("%d songs are not shared, it says %d", missing, c.NoRoom)
		}
	})
}
