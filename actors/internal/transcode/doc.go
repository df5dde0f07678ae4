// Package transcode makes mp3 of music of other kinds, with the ffmpeg that is installed, and keeps it.
//
// What was made lies in a folder of bounded size, each under the hash of the file that it was made of and its
// own: so a file that moves or is renamed is not converted again, and one that was damaged is noticed before
// it plays. A file appears there whole or not at all. Which was used last is its time on the disk, so that it
// outlives a restart.
//
// The files are hostile, and so are their names: ffmpeg opens nothing but the one file, as one of a few kinds
// of music and never as a playlist; its time, its output and what it says are bounded; it runs at the lowest
// priority, for a converted song is needed later than the music that plays.
package transcode
