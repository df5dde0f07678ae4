package catalog

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// tagged is a file that begins with a tag of that version and frames.
func tagged(version byte, frames ...[]byte) []byte {
	body := slices.Concat(frames...)
	return slices.Concat([]byte{'I', 'D', '3', version, 0, 0}, sevenBytes(len(body)), body, []byte("music"))
}

func tagFrame(id string, flags byte, body string) []byte {
	n := len(body)
	if len(id) == 3 {
		return append([]byte{id[0], id[1], id[2], byte(n >> 16), byte(n >> 8), byte(n)}, body...)
	}
	return append([]byte{id[0], id[1], id[2], id[3], 0, 0, byte(n >> 8), byte(n), 0, flags}, body...)
}

func TestCover(t *testing.T) {
	const picture = "\xff\xd8\xffpicture"
	title := tagFrame("TIT2", 0, "\x00Air")
	for name, test := range map[string]struct {
		file []byte
		want string
	}{
		"behind the title":           {tagged(3, title, tagFrame("APIC", 0, "\x00image/jpeg\x00\x03front\x00"+picture)), picture},
		"the front cover comes last": {tagged(3, tagFrame("APIC", 0, "\x00image/png\x00\x04\x00back"), tagFrame("APIC", 0, "\x00image/jpeg\x00\x03\x00"+picture)), picture},
		"only another picture":       {tagged(4, tagFrame("APIC", 0, "\x00image/png\x00\x04\x00back")), "back"},
		"UTF-16 description":         {tagged(3, tagFrame("APIC", 0, "\x01image/jpeg\x00\x03\xff\xfea\x00\x00\x00"+picture)), picture},
		"ID3v2.2":                    {tagged(2, tagFrame("PIC", 0, "\x00JPG\x03\x00"+picture)), picture},
		"ID3v2.4, unsynchronised":    {tagged(4, tagFrame("APIC", 2, "\x00image/jpeg\x00\x03\x00\xff\x00\xd8")), "\xff\xd8"},
		"packed":                     {tagged(3, tagFrame("APIC", 0x80, "\x00image/jpeg\x00\x03\x00"+picture)), ""},
		"no picture":                 {tagged(3, title), ""},
		"cut off":                    {tagged(3, tagFrame("APIC", 0, "\x00image/jpeg"))[:30], ""},
		"no tag":                     {[]byte("music that is no tag"), ""},
		"longer than the tag":        {tagged(3, []byte("APIC\x00\x10\x00\x00\x00\x00")), ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "a.mp3"), test.file, 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := Cover(dir, nil, "a.mp3")
			if err != nil || string(got) != test.want {
				t.Errorf("%q, %v; want %q", got, err, test.want)
			}
		})
	}
	if _, err := Cover(t.TempDir(), nil, "../a.mp3"); err == nil {
		t.Error("a name led out of the folder")
	}
}

func FuzzCover(f *testing.F) {
	f.Add(tagged(3, tagFrame("APIC", 0, "\x00image/jpeg\x00\x03\x00picture")))
	f.Add(tagged(2, tagFrame("PIC", 0, "\x01JPG\x03\x00\x00picture")))
	f.Fuzz(func(_ *testing.T, b []byte) { coverOf(bytes.NewReader(b), int64(len(b))) })
}
