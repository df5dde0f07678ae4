// Package settings finds a command's settings in the environment and in files. A flag beats a variable of the environment,
// which beats the user's file, which beats the machine's, which beats the default.
//
// Every flag is a setting, and its variable and its key follow from its name: --max-listeners is
// CONGA_MAX_LISTENERS and max-listeners. A flag that belongs to one call only has the tag `setting:"-"`. So a new
// flag is one line in its command, and the list of all settings is always true.
//
// Unknown settings are refused, or a typing error would be ignored in silence.
package settings
