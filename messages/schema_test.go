package messages

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

var rewrite = flag.Bool("rewrite", false, "add what is new to testdata/schema.txt")

// schemaFile lists every field of every message that a log or a peer may hold.
const schemaFile = "testdata/schema.txt"

// ours are this package's .proto files, all of them.
func ours() []protoreflect.FileDescriptor {
	var files []protoreflect.FileDescriptor
	protoregistry.GlobalFiles.RangeFilesByPackage("conga", func(file protoreflect.FileDescriptor) bool {
		files = append(files, file)
		return true
	})
	return files
}

// schema lists the fields and enum values of files, one a line: the key is what
// bytes mean (message and number), the value what we read there.
func schema(files ...protoreflect.FileDescriptor) map[string]string {
	lines := map[string]string{}
	for _, file := range files {
		addMessages(lines, file.Messages())
		addEnums(lines, file.Enums())
	}
	return lines
}

func addMessages(lines map[string]string, messages protoreflect.MessageDescriptors) {
	for i := range messages.Len() {
		message := messages.Get(i)
		lines[string(message.FullName())] = "message"
		for j := range message.Fields().Len() {
			field := message.Fields().Get(j)
			kind := describe(field)
			switch {
			case field.IsMap():
				kind = fmt.Sprintf("map<%s, %s>", field.MapKey().Kind(), describe(field.MapValue()))
			case field.IsList():
				kind = "repeated " + kind
			}
			if field.HasOptionalKeyword() {
				kind = "optional " + kind
			} else if one := field.ContainingOneof(); one != nil {
				kind = fmt.Sprintf("oneof %s %s", one.Name(), kind)
			}
			lines[fmt.Sprintf("%s %d", message.FullName(), field.Number())] = fmt.Sprintf("%s %s", field.Name(), kind)
		}
		addMessages(lines, message.Messages())
		addEnums(lines, message.Enums())
	}
}

// describe names the type of one value of field.
func describe(field protoreflect.FieldDescriptor) string {
	switch field.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return string(field.Message().FullName())
	case protoreflect.EnumKind:
		return string(field.Enum().FullName())
	}
	return field.Kind().String()
}

func addEnums(lines map[string]string, enums protoreflect.EnumDescriptors) {
	for i := range enums.Len() {
		values := enums.Get(i).Values()
		for j := range values.Len() {
			lines[fmt.Sprintf("%s %d", enums.Get(i).FullName(), values.Get(j).Number())] = string(values.Get(j).Name())
		}
	}
}

// broken says what of the old schema the new one no longer keeps.
func broken(old, now map[string]string) []string {
	var reasons []string
	for _, key := range slices.Sorted(maps.Keys(old)) {
		switch is, kept := now[key]; {
		case !kept:
			reasons = append(reasons, fmt.Sprintf("%s (%s) is gone", key, old[key]))
		case is != old[key]:
			reasons = append(reasons, fmt.Sprintf("%s was %s, now %s", key, old[key], is))
		}
	}
	return reasons
}

func format(lines map[string]string) string {
	var text strings.Builder
	for _, key := range slices.Sorted(maps.Keys(lines)) {
		fmt.Fprintf(&text, "%s = %s\n", key, lines[key])
	}
	return text.String()
}

func parse(t *testing.T, text string) map[string]string {
	t.Helper()
	lines := map[string]string{}
	for line := range strings.Lines(text) {
		key, value, found := strings.Cut(strings.TrimSpace(line), " = ")
		if !found {
			t.Fatalf("%s: %q", schemaFile, line)
		}
		lines[key] = value
	}
	return lines
}

// Logs of years and peers of any age hold these bytes: a field may come, none may go,
// be renamed, renumbered or change its type.
func TestSchema_Compatible(t *testing.T) {
	now := schema(ours()...)
	text, err := os.ReadFile(schemaFile)
	if err != nil && (!*rewrite || !os.IsNotExist(err)) {
		t.Fatal(err)
	}
	old := parse(t, string(text))
	for _, reason := range broken(old, now) {
		t.Errorf("%s: put it back, and add a new field instead", reason)
	}
	if t.Failed() {
		return
	}
	if *rewrite {
		if err := os.WriteFile(schemaFile, []byte(format(now)), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, key := range slices.Sorted(maps.Keys(now)) {
		if _, known := old[key]; !known {
			t.Logf("new: %s = %s; keep it for good with go test ./messages -rewrite", key, now[key])
		}
	}
}

// The watchman is watched: each way of breaking is seen, and adding is none.
func TestSchema_Broken(t *testing.T) {
	old := map[string]string{"conga.Song": "message", "conga.Song 1": "name string", "conga.Song 2": "title string"}
	for _, test := range []struct {
		name   string
		change func(map[string]string)
		want   int
	}{
		{"nothing", func(map[string]string) {}, 0},
		{"added", func(m map[string]string) { m["conga.Song 3"] = "artist string" }, 0},
		{"gone", func(m map[string]string) { delete(m, "conga.Song 2") }, 1},
		{"renumbered", func(m map[string]string) { m["conga.Song 3"] = m["conga.Song 2"]; delete(m, "conga.Song 2") }, 1},
		{"renamed", func(m map[string]string) { m["conga.Song 1"] = "file string" }, 1},
		{"other type", func(m map[string]string) { m["conga.Song 1"] = "name bytes" }, 1},
		{"swapped", func(m map[string]string) {
			m["conga.Song 1"], m["conga.Song 2"] = m["conga.Song 2"], m["conga.Song 1"]
		}, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			now := maps.Clone(old)
			test.change(now)
			if got := broken(old, now); len(got) != test.want {
				t.Errorf("%q", got)
			}
		})
	}
	if round := parse(t, format(old)); !maps.Equal(round, old) {
		t.Errorf("written and read again: %v", round)
	}
}
