package catalog

import (
	"path"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"conga/messages"
)

func TestUploadName(t *testing.T) {
	long := strings.Repeat("ä", 300)
	for _, test := range []struct{ said, want string }{
		{"Air.mp3", "Air.mp3"},
		{"Air.MP3", "Air.mp3"},
		{"air.flac", "air.flac"},
		{"/etc/passwd.mp3", "passwd.mp3"},
		{"../../../air.mp3", "air.mp3"},
		{`C:\Users\amy\Music\air.mp3`, "air.mp3"},
		{"..mp3", "song.mp3"},
		{".mp3", "song.mp3"},
		{"...air.mp3", "air.mp3"},
		{"~air.mp3", "air.mp3"},
		{" air .mp3", "air.mp3"},
		{"air. . .mp3", "air.mp3"},
		{"a\nb\x1b[31m.mp3", "a b[31m.mp3"},
		{"a\u202eb.mp3", "ab.mp3"},
		{"cafe\u0301.mp3", "café.mp3"},
		{"a\u200db.mp3", "ab.mp3"},
		{"a\u00a0b.mp3", "a b.mp3"},
		{"what?<is>:\"this\"|*.mp3", "what__is___this___.mp3"},
		{"..\u0300~.mp3", "song.mp3"},
		{"~.\u0300.air.mp3", "air.mp3"},
		{"con.mp3", "_con.mp3"},
		{"NUL.mp3", "_NUL.mp3"},
		{"Com1.live.mp3", "_Com1.live.mp3"},
		{"lpt³.mp3", "_lpt³.mp3"},
		{"company.mp3", "company.mp3"},
		{"\xff\xfe.mp3", "song.mp3"},
		{long + ".mp3", strings.Repeat("ä", (maxUploadBytes-len(".mp3"))/2) + ".mp3"},
		{strings.Repeat("a", 300) + ".mp3", strings.Repeat("a", maxUploadName-len(".mp3")) + ".mp3"},
		{"air", ""},
		{"air.txt", ""},
		{"air.m3u", ""},
		{"air.mp3/", ""},
		{"", ""},
	} {
		got, err := uploadName(test.said, true)
		if got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%q is %q, %v, want %q", test.said, got, err, test.want)
		}
	}
	if _, err := uploadName("air.flac", false); err == nil || !strings.Contains(err.Error(), "ffmpeg") {
		t.Errorf("without ffmpeg: %v", err)
	}
}

// Whatever a file is called, its name on the disk is short, visible, without folders, and has a song's extension. A name from
// the disk, also with a number, stays the same when it is brought again.
func TestUploadName_Property(t *testing.T) {
	odd := rapid.SampledFrom([]string{"..", "/", `\`, ".mp3", ".flac", "con", "nul", "~", " ", ".", "\x00", "\u202e", "e\u0301", "\u200d", "🎵", "𝄞", "a", "COM9", "\xff"})
	rapid.Check(t, func(t *rapid.T) {
		said := strings.Join(rapid.SliceOfN(rapid.OneOf(odd, rapid.String()), 0, 40).Draw(t, "parts"), "") + rapid.SampledFrom([]string{"", ".mp3", ".Ogg"}).Draw(t, "ending")
		name, err := uploadName(said, true)
		if err != nil {
			return
		}
		for n := 1; n <= maxNumber; n += 49 {
			numbered := numbered(name, n)
			switch stem := strings.TrimSuffix(numbered, path.Ext(numbered)); {
			case badName(path.Join(UploadFolder, numbered)) != "", messages.SongEnding(numbered) == "", path.Base(numbered) != numbered, strings.ContainsAny(numbered, `<>:"|?*\`):
				t.Fatalf("%q is called %q: %s", said, numbered, badName(numbered))
			case utf8.RuneCountInString(numbered) > maxUploadName+len(" (99)"), len(numbered) > 255, isDevice(stem), stem != strings.TrimSpace(stem), strings.HasPrefix(stem, "."):
				t.Fatalf("%q is called %q", said, numbered)
			}
		}
		if again, err := uploadName(name, true); again != name || err != nil {
			t.Fatalf("%q is called %q, and that again %q, %v", said, name, again, err)
		}
	})
}
