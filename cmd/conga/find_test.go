package main

import (
	"io"
	"strings"
	"testing"

	"conga/cmd/internal/lan"
)

func TestChoose(t *testing.T) {
	amy, bob := lan.Radio{Name: "amy-7000", Addr: "192.0.2.1:7000"}, lan.Radio{Name: "bob-7000", Addr: "192.0.2.2:7000"}
	for _, test := range []struct {
		name   string
		radios []lan.Radio
		typed  io.Reader
		want   string
		says   string // in the error
	}{
		{"none", nil, nil, "", "no radio answers"},
		{"one", []lan.Radio{amy}, nil, amy.Addr, ""},
		{"two, nobody there", []lan.Radio{amy, bob}, nil, "", "say which, as in conga join 192.0.2.1:7000"},
		{"two", []lan.Radio{amy, bob}, strings.NewReader("2\n"), bob.Addr, ""},
		{"two, mistyped", []lan.Radio{amy, bob}, strings.NewReader("x\n0\n3\n" + strings.Repeat("1", 1000) + "\n1\n"), amy.Addr, ""},
		{"two, end of input", []lan.Radio{amy, bob}, strings.NewReader("x\n"), "", "nothing was chosen"},
	} {
		got, err := choose(test.radios, test.typed, io.Discard)
		if got != test.want || (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %q, %v", test.name, got, err)
		}
	}
}

// What is typed behind the choice is not lost.
func TestChoose_ReadsOneLine(t *testing.T) {
	typed := strings.NewReader("1\nPLAY 2\n")
	if _, err := choose(make([]lan.Radio, 2), typed, io.Discard); err != nil {
		t.Fatal(err)
	}
	if rest, _ := io.ReadAll(typed); string(rest) != "PLAY 2\n" {
		t.Errorf("%q is left", rest)
	}
}
