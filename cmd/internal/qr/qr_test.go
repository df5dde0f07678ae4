package qr

import (
	"strings"
	"testing"
	"unicode/utf8"

	"rsc.io/qr"
)

// The drawing is the code, module by module, with a light margin.
func TestRows(t *testing.T) {
	const text = "http://192.168.178.20:7000/"
	rows := Rows(text)
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		t.Fatal(err)
	}
	width := code.Size + 2*quiet
	if len(rows) != (width+1)/2 || len(rows) > 18 {
		t.Fatalf("%d rows for %d modules", len(rows), code.Size)
	}
	for y := range 2 * len(rows) {
		row := []rune(rows[y/2])
		if len(row) != width {
			t.Fatalf("row %d has %d cells", y/2, len(row))
		}
		for x, cell := range row {
			light := strings.ContainsRune("█▀", cell)
			if y%2 == 1 {
				light = strings.ContainsRune("█▄", cell)
			}
			if dark := code.Black(x-quiet, y-quiet); dark == light {
				t.Fatalf("module %d,%d is drawn wrong", x, y)
			}
		}
	}
	if utf8.RuneCountInString(rows[0]) != strings.Count(rows[0], "█") {
		t.Errorf("the margin is %q", rows[0])
	}
}

func TestRows_TooLong(t *testing.T) {
	if rows := Rows(strings.Repeat("x", 10_000)); rows != nil {
		t.Errorf("%d rows", len(rows))
	}
}
