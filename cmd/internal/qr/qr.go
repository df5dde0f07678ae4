// Package qr draws QR codes with characters.
package qr

import (
	"strings"

	"rsc.io/qr"
)

// quiet is the margin that a reader needs, in modules.
const quiet = 2

// Rows draws the QR code of the text, light on dark as on a terminal, two modules a character; nil if the
// text is too long for one.
func Rows(text string) []string {
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return nil
	}
	light := func(x, y int) bool { return !code.Black(x, y) } // outside of the code everything is light
	var rows []string
	for y := -quiet; y < code.Size+quiet; y += 2 {
		var row strings.Builder
		for x := -quiet; x < code.Size+quiet; x++ {
			upper, lower := light(x, y), light(x, y+1)
			switch {
			case upper && lower:
				row.WriteRune('█')
			case upper:
				row.WriteRune('▀')
			case lower:
				row.WriteRune('▄')
			default:
				row.WriteRune(' ')
			}
		}
		rows = append(rows, row.String())
	}
	return rows
}
