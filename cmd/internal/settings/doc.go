// Package settings finds what a command was told beside its flags. A flag beats a variable of the environment,
// which beats the user's file, which beats the machine's, which beats the default.
//
// Every flag is a setting, and its name says how its variable and its key are called: --max-listeners is
// CONGA_MAX_LISTENERS and max-listeners. A flag that belongs to one call only has the tag `setting:"-"`. So a new
// flag is one line in its command, and the list of all settings cannot lie.
//
// What nobody knows is refused, for a typing error would change nothing and say nothing.
package settings
