package main

import (
	"errors"
	"regexp"
)

// wished are the arguments in the words of this command line: people also say conga help serve and
// conga --version.
func wished(args []string) []string {
	if len(args) == 0 || len(args) == 1 && args[0] == "log" {
		return append(args, "--help")
	}
	switch args[0] {
	case "help", "-help", "-?", "/?":
		return append(append([]string{}, args[1:]...), "--help")
	case "--version", "-version", "-V", "-v":
		return append([]string{"version"}, args[1:]...)
	}
	return args
}

// kongs are the parser's sentences that need a programmer to be understood, and what people say.
var kongs = []struct {
	theirs *regexp.Regexp
	ours   string
}{
	{regexp.MustCompile(`^(--\S+): expected \S+ value but got "EOL" \(<EOL>\)$`), "$1 needs a value"},
	{regexp.MustCompile(`^(--\S+): expected \S+ value but got "(.*)" \(short flag\); perhaps try (\S+)\?$`), "$1 needs a value; if $2 is meant, write $3"},
	{regexp.MustCompile(`^(--\S+): expected a valid \d+ bit int but got "(.*)"$`), "$1 takes a whole number, not $2"},
	{regexp.MustCompile(`^(--\S+): expected a float but got "(.*)" .*$`), "$1 takes a number, not $2"},
	{regexp.MustCompile(`^(--\S+): expected duration but got "(.*)": .*$`), "$1 takes a time like 30s or 10m, not $2"},
	{regexp.MustCompile(`^missing flags: (.*)$`), "it needs $1"},
	{regexp.MustCompile(`^expected "(.*)"$`), "it needs $1"},
	{regexp.MustCompile(`^unexpected argument ,.*$`), "an argument is empty"},
}

// plainly is the parser's error for people.
func plainly(text string) string {
	for _, k := range kongs {
		if k.theirs.MatchString(text) {
			return k.theirs.ReplaceAllString(text, k.ours)
		}
	}
	return text
}

// listenAddr is where a port listens: HOST:PORT, :PORT, or only the port.
type listenAddr string

// UnmarshalText completes what the user wrote.
func (a *listenAddr) UnmarshalText(text []byte) error {
	addr, err := listenAt(string(text), "")
	*a = listenAddr(addr)
	return err
}

// httpAddr is listenAddr, or off. A port alone is on this machine only.
type httpAddr string

const noHTTP = "off"

// UnmarshalText completes what the user wrote.
func (a *httpAddr) UnmarshalText(text []byte) error {
	if *a = httpAddr(text); *a == noHTTP {
		return nil
	}
	addr, err := listenAt(string(text), "127.0.0.1")
	*a = httpAddr(addr)
	if err != nil {
		err = errors.New(err.Error() + ", or off")
	}
	return err
}
