package logbook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"conga/messages/plain"
)

// Pretty is JSON for people, as jq prints it: two spaces deeper each level, and < > & as
// themselves, but what is not plain as escapes. The same value gives the same bytes.
func Pretty(raw []byte) []byte {
	var b bytes.Buffer
	if json.Indent(&b, raw, "", "  ") != nil {
		return raw // it is not JSON
	}
	return append(plain.JSON(unescape(bytes.TrimSpace(b.Bytes()))), '\n')
}

// escaped has the characters that encoding/json escapes for the sake of web pages.
var escaped = map[string]string{"u003c": "<", "u003e": ">", "u0026": "&"}

func unescape(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			out = append(out, text[i])
			continue
		}
		if i+6 <= len(text) {
			if char, known := escaped[string(text[i+1:i+6])]; known {
				out = append(out, char...)
				i += 5
				continue
			}
		}
		out = append(out, text[i], text[i+1]) // the pair stays together: \\u003c is no escape
		i++
	}
	return out
}

// differences lists what differs between two JSON values, a line each: path: before -> after.
func differences(a, b json.RawMessage) []string {
	var lines []string
	was, is := flatten(a), flatten(b)
	for _, path := range was.paths {
		if after, kept := is.values[path]; !kept {
			lines = append(lines, fmt.Sprintf("%s: %s -> nothing", path, was.values[path]))
		} else if after != was.values[path] {
			lines = append(lines, fmt.Sprintf("%s: %s -> %s", path, was.values[path], after))
		}
	}
	for _, path := range is.paths {
		if _, before := was.values[path]; !before {
			lines = append(lines, fmt.Sprintf("%s: nothing -> %s", path, is.values[path]))
		}
	}
	return lines
}

// flat has the leaves of a JSON value by their paths.
type flat struct {
	paths  []string
	values map[string]string
}

func flatten(raw json.RawMessage) flat {
	f := flat{values: map[string]string{}}
	f.add("", raw)
	return f
}

func (f *flat) add(path string, raw json.RawMessage) {
	var object map[string]json.RawMessage
	var array []json.RawMessage
	switch {
	case json.Unmarshal(raw, &object) == nil && len(object) > 0:
		for _, key := range slices.Sorted(maps.Keys(object)) {
			f.add(dotted(path, key), object[key])
		}
	case json.Unmarshal(raw, &array) == nil && len(array) > 0:
		for i, value := range array {
			f.add(path+"["+strconv.Itoa(i)+"]", value)
		}
	case string(raw) == "[]", string(raw) == "{}": // its elements are listed themselves
	default:
		f.paths = append(f.paths, path)
		f.values[path] = string(plain.JSON(unescape(bytes.TrimSpace(raw))))
	}
}

func dotted(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
