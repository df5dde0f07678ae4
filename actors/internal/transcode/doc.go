// Package transcode makes mp3 of music of other kinds, with the ffmpeg that is installed, and keeps it.
//
// The converted files lie in a folder of bounded size. Each is named by its own hash and that of the file that it was
// made of. So a file that was moved or renamed is not converted again, and a damaged one is noticed before
// it plays. A file appears there whole or not at all. Its time on the disk says when it was last used, so
// that is known after a restart.
//
// The files are hostile, and so are their names: ffmpeg opens nothing but the one file, as one of a few kinds
// of music and never as a playlist. Its time, its output and its messages are bounded. It runs at a low
// priority, because the music that plays matters more.
package transcode
