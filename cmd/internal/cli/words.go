package cli

import "regexp"

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
