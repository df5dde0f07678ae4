package settings

import (
	"encoding"
	"fmt"
	"reflect"
	"time"

	"github.com/alecthomas/kong"
)

// form is how a setting is written in TOML.
type form int

const (
	text   form = iota // in quotes
	either             // a text that people write as a number, too: a port, an offset
	whole              // a number
	number             // the same, or with a point
	truth              // true or false
	list               // of texts, or one of them
)

// formOf is the form of a flag's values.
func formOf(flag *kong.Flag) form {
	of := flag.Target.Type()
	reads := reflect.TypeFor[encoding.TextUnmarshaler]()
	for of.Kind() == reflect.Pointer {
		if of.Implements(reads) {
			return either
		}
		of = of.Elem()
	}
	switch kind := of.Kind(); {
	case reflect.PointerTo(of).Implements(reads):
		return either
	case of == reflect.TypeFor[time.Duration]():
		return text
	case kind == reflect.Bool:
		return truth
	case kind == reflect.Float32, kind == reflect.Float64:
		return number
	case kind >= reflect.Int && kind <= reflect.Uint64:
		return whole
	case kind == reflect.Slice:
		return list
	}
	return text
}

// takes says whether a value, as TOML has read it, has the form.
func (f form) takes(given any) bool {
	switch given := given.(type) {
	case string:
		return f == text || f == either || f == list
	case int64:
		return f == either || f == whole || f == number
	case float64:
		return f == either || f == number
	case bool:
		return f == truth
	case []any:
		for _, one := range given {
			if _, is := one.(string); !is {
				return false
			}
		}
		return f == list
	}
	return false
}

// example is how the value should stand in the file.
func (f form) example(flag *kong.Flag, value string) string {
	switch f {
	case whole:
		return fmt.Sprintf("a whole number without quotes, as in %s = 10", flag.Name)
	case number:
		return fmt.Sprintf("a number without quotes, as in %s = 0.5", flag.Name)
	case truth:
		return fmt.Sprintf("true or false without quotes, as in %s = true", flag.Name)
	case list:
		return fmt.Sprintf("a list of texts, as in %s = [%q]", flag.Name, flag.PlaceHolder)
	case either:
		return fmt.Sprintf("a text in quotes or a number, as in %s = %q", flag.Name, flag.PlaceHolder)
	}
	return fmt.Sprintf("a text in quotes, as in %s = %q", flag.Name, value)
}

// nameOf is what a value is that TOML has read.
func nameOf(given any) string {
	switch given := given.(type) {
	case string:
		return fmt.Sprintf("a text (%.40q)", given)
	case int64, float64:
		return fmt.Sprintf("a number (%v)", given)
	case bool:
		return fmt.Sprint(given)
	}
	return "a list"
}
