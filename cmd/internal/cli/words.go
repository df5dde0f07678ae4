package cli

import (
	"fmt"
	"regexp"
	"strings"
)

// kongs are the parser's sentences that only a programmer understands, and the same in plain words.
var kongs = []struct {
	theirs *regexp.Regexp
	ours   string
}{
	{regexp.MustCompile(`^(--\S+): expected \S+ value but got "EOL" \(<EOL>\)$`), "$1 needs a value"},
	{regexp.MustCompile(`^(--\S+): expected \S+ value but got "(.*)" \((?:short|long) flag\); perhaps try (\S+)\?$`), "$1 needs a value; if $2 is meant, write $3"},
	{regexp.MustCompile(`^(--\S+): expected a valid \d+ bit int but got "(.*)"$`), "$1 takes a whole number, not $2"},
	{regexp.MustCompile(`^(--\S+): expected a float but got "(.*)" .*$`), "$1 takes a number, not $2"},
	{regexp.MustCompile(`^(--\S+): expected duration but got "(.*)": .*$`), "$1 takes a time like 30s or 10m, not $2"},
	{regexp.MustCompile(`^missing flags: (.*)$`), "it needs $1"},
	{regexp.MustCompile(`^expected "(.*)"$`), "it needs $1"},
	{regexp.MustCompile(`^unexpected argument ,.*$`), "an argument is empty"},
}

// negative is a number that the parser takes for a flag.
var negative = regexp.MustCompile(`^-[0-9.]+$`)

// withValues joins a flag with a negative number after it, so that the flag itself says which numbers it takes.
func withValues(args []string) []string {
	var joined []string
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if strings.HasPrefix(arg, "--") && len(arg) > 2 && !strings.Contains(arg, "=") && i+1 < len(args) && negative.MatchString(args[i+1]) {
			i++
			arg += "=" + args[i]
		}
		joined = append(joined, arg)
	}
	return joined
}

// unknownShort begins the parser's error for -songs, which it takes for -s and more.
var unknownShort = regexp.MustCompile(`^unknown flag (-[^-])`)

// plainly is the parser's error in plain words. args is what was typed.
func plainly(text string, args []string) string {
	if short := unknownShort.FindStringSubmatch(text); short != nil {
		for _, arg := range args {
			if arg, _, _ := strings.Cut(arg, "="); len(arg) > 2 && strings.HasPrefix(arg, short[1]) {
				return fmt.Sprintf("unknown flag %s, did you mean \"-%s\"?", arg, arg)
			}
		}
	}
	for _, k := range kongs {
		if k.theirs.MatchString(text) {
			return k.theirs.ReplaceAllString(text, k.ours)
		}
	}
	return text
}
