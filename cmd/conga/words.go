package main

import "slices"

// wished are the arguments in the words of this command line: people also say conga help serve and
// conga -v.
func wished(args []string) []string {
	if len(args) == 0 || len(args) == 1 && args[0] == "log" {
		return append(args, "--help")
	}
	switch args[0] {
	case "help":
		if len(args) > 1 && slices.Contains(topics, args[1]) {
			return args
		}
		return append(append([]string{}, args[1:]...), "--help")
	case "-help", "-?", "/?":
		return append(append([]string{}, args[1:]...), "--help")
	case "-version", "-V", "-v":
		return append([]string{"version"}, args[1:]...)
	}
	return args
}
