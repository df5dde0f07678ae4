package catalog

import (
	"path"
	"strconv"
	"strings"
	"unicode/utf8"

	"conga/messages"
	"conga/messages/plain"
)

const (
	// UploadFolder is the subfolder of the songs folder for songs that guests bring.
	UploadFolder = "uploads"
	// maxUploadName and maxUploadBytes bound the name of a brought file, in characters and in bytes. File systems take 255
	// bytes, and a number may be added.
	maxUploadName, maxUploadBytes = 120, 200
	// maxNumber is how many files may have the same name with different numbers.
	maxNumber = 99
)

// devices are names that Windows keeps for devices, with any extension. A file of that name is no file there.
var devices = map[string]bool{
	"con": true, "prn": true, "aux": true, "nul": true, "conin$": true, "conout$": true, "clock$": true,
}

// isDevice says whether Windows takes the name for a device.
func isDevice(name string) bool {
	name, _, _ = strings.Cut(strings.ToLower(name), ".")
	name = strings.TrimRight(name, " ")
	if port, is := strings.CutPrefix(name, "com"); is {
		return isPort(port)
	}
	if port, is := strings.CutPrefix(name, "lpt"); is {
		return isPort(port)
	}
	return devices[name]
}

func isPort(s string) bool {
	return len([]rune(s)) == 1 && strings.ContainsAny(s, "0123456789¹²³")
}

// uploadName is the name on the disk of a file that is brought under the name said: a visible file in every file system,
// with a name that people can type. Folders in said are ignored. makes says whether other music than mp3 can be converted.
func uploadName(said string, makes bool) (string, error) {
	said = said[strings.LastIndexAny(said, `/\`)+1:]
	name := plain.Alike(said, 4*maxUploadBytes)
	ending := path.Ext(name)
	switch {
	case messages.SongEnding(name) == "":
		return "", unfit("its name does not end as music does: rename it to end in .mp3" + orOthers(makes))
	case !makes && !strings.EqualFold(ending, ".mp3"):
		return "", unfit("this radio takes only .mp3: ffmpeg -i FILE NEW.mp3 makes one of it")
	}
	stem := strings.Map(func(r rune) rune {
		if strings.ContainsRune(`<>:"|?*`, r) { // Windows has no such names
			return '_'
		}
		return r
	}, strings.TrimSuffix(name, ending))
	for before := ""; stem != before; { // an accent that has lost its dot is lost, too, and a dot may follow
		before, stem = stem, strings.TrimLeft(plain.Alike(stem, 4*maxUploadBytes), ". ~")
	}
	for utf8.RuneCountInString(stem) > maxUploadName-len(ending) || len(stem) > maxUploadBytes-len(ending) {
		_, last := utf8.DecodeLastRuneInString(stem)
		stem = stem[:len(stem)-last]
	}
	switch stem = strings.TrimRight(stem, ". "); {
	case stem == "":
		stem = "song"
	case isDevice(stem):
		stem = "_" + stem
	}
	name = plain.Alike(stem, maxUploadBytes) + strings.ToLower(ending)
	if reason := badName(path.Join(UploadFolder, name)); reason != "" {
		return "", unfit("a song cannot have this name: " + reason)
	}
	return name, nil
}

func orOthers(makes bool) string {
	if !makes {
		return ""
	}
	return " or as what it is: .flac, .m4a, .ogg, .opus, .wav"
}

// numbered is the name of the n-th file of that name: "air (2).mp3".
func numbered(name string, n int) string {
	if n == 1 {
		return name
	}
	ending := path.Ext(name)
	return strings.TrimSuffix(name, ending) + " (" + strconv.Itoa(n) + ")" + ending
}

// looksLike is equal for names that people, or some file systems, do not tell apart.
func looksLike(name string) string { return strings.ToLower(plain.Alike(name, 4*maxUploadBytes)) }

// freeName is the name with the first number that makes it unlike all names in the folder; empty if there is none.
func freeName(name string, taken map[string]bool) string {
	for n := 1; n <= maxNumber; n++ {
		if free := numbered(name, n); !taken[looksLike(free)] {
			return free
		}
	}
	return ""
}

func unfit(reason string) error {
	return &messages.UploadRefused{Fault: messages.UploadUnfit, Reason: reason}
}
