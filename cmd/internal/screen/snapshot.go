package screen

import "time"

// Snapshot is one moment. The screen keeps it and does not change it.
type Snapshot struct {
	Song     string // file name; empty: nothing is heard
	Title    string // empty: the file does not say
	Artist   string
	Away     string        // why nothing is broadcast; empty: something is, or that is not known
	Asked    string        // who asked for the song; empty: chance chose
	Elapsed  time.Duration // of the song, as it is heard
	Duration time.Duration
	Sound    string     // where the music is heard, or why it is not: "on the loudspeaker"
	Levels   [2]float64 // how loud left and right are, from 0 to 1
	Queue    []Queued   // next first
	Chain    []Member   // nearest the server first
	Part     bool       // the chain is only a part of it
	Facts    []string   // what else is so, a sentence each
}

// Queued is a song that somebody waits for.
type Queued struct {
	Song, Title, Artist string
	Asked               string        // who asked for it
	In                  time.Duration // until it is heard; less than 0: not known
}

// Role is what a member of the chain is to whoever looks.
type Role int

const (
	// Other is one of many.
	Other Role = iota
	// Self is the listener whose screen this is.
	Self
	// Feeder sends it the music, and Fed get the music from it.
	Feeder
	Fed
	// Gap stands for those in between, of whom nothing is known.
	Gap
)

// Member is one listener of the chain.
type Member struct {
	Name      string
	Role      Role
	Note      string        // what else there is to say of it
	Measured  bool          // Buffered is known
	Buffered  time.Duration // music that it has and has not played yet
	Underruns uint64        // times it had none
	Speaker   bool          // it is heard on the loudspeaker
	Kill      bool          // it can be killed from here
}

// Found is what a search for songs gives.
type Found struct {
	Songs []Song
	More  string // what there is to say of songs that are not among them
}

// Song can be asked for.
type Song struct {
	Name, Title, Artist string
	Duration            time.Duration // 0: not known
}

// kind is whose words a line of the news is.
type kind int

// What a line of the news is about.
const (
	// Event is what happens to the music and to the chain.
	Event kind = iota
	// Trouble is what somebody should do something about.
	Trouble
	typed
	answered
)

// News is a line about what happened.
type News struct {
	At   time.Time
	Kind kind
	Text string
}
