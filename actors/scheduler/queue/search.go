package queue

import (
	"encoding/json"
	"iter"
	"path"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"conga/messages"
	"conga/messages/plain"
)

// maxChoices is how many songs are offered if a wish may mean several.
const maxChoices = 10

// Song is a song that can be requested. It is immutable.
type Song struct {
	Name       string `json:"name"` // of its file
	Title      string `json:"title,omitempty"`
	Artist     string `json:"artist,omitempty"`
	DurationUs int64  `json:"durationUs,omitempty"`

	text                string // artist, title, folders, file and extension, folded, with a space between them
	title, artist, file string // parts of text
}

func newSong(m *messages.Song) *Song {
	return (&Song{Name: m.GetName(), Title: m.GetTitle(), Artist: m.GetArtist(), DurationUs: m.GetDurationUs()}).fold()
}

// fold prepares the search: a look at 20,000 songs must not take longer than to compare bytes.
func (s *Song) fold() *Song {
	folders, file := path.Split(s.Name)
	artist, title := fold(s.Artist), fold(s.Title)
	file, extension := bare(file)
	folders, file = fold(folders), fold(file)
	s.text = artist + " " + title + " " + folders + " " + file + " " + fold(extension)
	s.artist = s.text[:len(artist)]
	s.title = s.text[len(artist)+1 : len(artist)+1+len(title)]
	s.file = s.text[len(artist)+len(title)+len(folders)+3:][:len(file)]
	return s
}

// bare splits a file's name before its extension, if that is one of music.
func bare(file string) (name, extension string) {
	extension = messages.SongEnding(file)
	return file[:len(file)-len(extension)], strings.ToLower(extension)
}

// Key is the name.
func (s *Song) Key() string { return s.Name }

// message is the song as other actors get it.
func (s *Song) message() *messages.Song {
	return &messages.Song{Name: s.Name, Title: s.Title, Artist: s.Artist, DurationUs: s.DurationUs}
}

// MarshalJSON writes a song of which only the name is known as that name.
func (s *Song) MarshalJSON() ([]byte, error) {
	if s.Title == "" && s.Artist == "" && s.DurationUs == 0 {
		return json.Marshal(s.Name)
	}
	type plain Song
	return json.Marshal((*plain)(s))
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *Song) UnmarshalJSON(data []byte) error {
	type plain Song
	err := json.Unmarshal(data, &s.Name)
	if err != nil {
		err = json.Unmarshal(data, (*plain)(s))
	}
	s.fold()
	return err
}

// letters have a stroke, or are two in one: no decomposition takes them apart.
var letters = strings.NewReplacer("ß", "ss", "æ", "ae", "œ", "oe", "ø", "o", "ł", "l", "đ", "d", "ð", "d", "þ", "th", "ı", "i")

// fold is the text without capital letters, accents and signs: words with one space between them.
func fold(s string) string {
	s = norm.NFD.String(strings.ToLower(plain.Alike(s, messages.MaxLine)))
	var b strings.Builder
	b.Grow(len(s))
	space := false
	for _, r := range s {
		switch {
		case unicode.Is(unicode.Mn, r), r == '\'', r == '’':
		case unicode.IsLetter(r), unicode.IsNumber(r), unicode.Is(unicode.M, r), unicode.Is(unicode.S, r) && r > '~':
			if space && b.Len() > 0 {
				b.WriteByte(' ')
			}
			space = false
			b.WriteRune(r)
		default:
			space = true
		}
	}
	return letters.Replace(b.String())
}

// match says how well a song fits what somebody typed; a smaller one is better.
type match int

const (
	wholeTitle match = iota // its title, or its file's name without the folders
	titleAndArtist
	allWords // each word is a part of title, artist or name
	noMatch
)

// words is what somebody typed, ready to be compared.
type words struct {
	whole string
	parts []string
}

func wordsOf(wish string) words {
	if line := songsLine.FindStringSubmatch(wish); line != nil {
		wish = line[1]
	}
	name, _ := bare(wish)
	whole := fold(name)
	return words{whole, strings.Fields(whole)}
}

func (w words) match(s *Song) match {
	switch {
	case len(w.parts) == 0:
		return noMatch
	case w.whole == s.title || w.whole == s.file:
		return wholeTitle
	}
	for _, part := range w.parts {
		if !strings.Contains(s.text, part) {
			return noMatch
		}
	}
	if n := len(w.whole); n == len(s.artist)+1+len(s.title) && s.artist != "" && s.title != "" &&
		(w.whole == s.text[:n] || w.whole == s.title+" "+s.artist) {
		return titleAndArtist
	}
	return allWords
}

// Mean finds what people type: what Find finds; else the song with that title; else with that title and artist; else
// the songs that have all the words somewhere. So a wish that names one song exactly means it, whatever other songs
// there are.
func (s State) Mean(wish string) messages.Meaning {
	if song, exists := s.Find(wish); exists {
		return messages.Meaning{Song: song}
	}
	w, best := wordsOf(wish), noMatch
	var m messages.Meaning
	n, number := 0, 0
	for song := range s.Songs.All() {
		number++
		fits := w.match(song)
		switch {
		case fits > best || fits == noMatch:
			continue
		case fits < best:
			best, n = fits, 0
			m = messages.Meaning{Song: song.Name}
		}
		if n++; n <= maxChoices {
			m.Choices = append(m.Choices, messages.Choice{Number: number, Song: song.message()})
		} else {
			m.More++
		}
	}
	if n == 1 {
		return messages.Meaning{Song: m.Song}
	}
	m.Song = ""
	return m
}

// maxFound is how many songs a search shows.
const maxFound = 1000

// Search finds the songs that have all the words in title, artist or name. While the songs are away it finds none.
func (s State) Search(wish string) messages.FoundSongs {
	var found messages.FoundSongs
	if s.Away != "" {
		return found
	}
	for number, song := range s.Having(wish) {
		if len(found.Songs) == maxFound {
			found.More++
		} else {
			found.Songs = append(found.Songs, messages.Choice{Number: number, Song: song.message()})
		}
	}
	return found
}

// Having are the songs that have all the words, with their numbers.
func (s State) Having(wish string) iter.Seq2[int, *Song] {
	return func(yield func(int, *Song) bool) {
		w, number := wordsOf(wish), 0
		for song := range s.Songs.All() {
			if number++; w.match(song) != noMatch && !yield(number, song) {
				return
			}
		}
	}
}

// Song is the song of that name; nil: there is none.
func (s State) Song(name string) *messages.Song {
	if song, known := s.Songs.Find(name); known {
		return song.message()
	}
	return nil
}
