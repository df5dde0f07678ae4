package screen

import "time"

// Snapshot is one moment. The screen keeps it and does not change it.
type Snapshot struct {
	Song     string // file name; empty: nothing is heard
	Title    string // empty: the file does not say
	Artist   string
	Away     string // why nothing is broadcast; empty: music is broadcast, or the reason is not known
	Asked    string // who asked for the song; empty: nobody
	Votes    int    // to skip the song, and how many do it; Needed 0: nobody can vote
	Needed   int
	Elapsed  time.Duration // of the song, as it is heard
	Duration time.Duration
	Sound    string        // where the music is heard, or why it is not: "on the loudspeaker"
	Levels   [2]float64    // how loud left and right are, from 0 to 1
	Full     time.Duration // all the music that a listener can have before it is heard; 0: messages.Slack
	Queue    []Queued      // next first
	Chain    []Member      // nearest the server first
	Part     bool          // the chain is only a part of it
	Facts    []string      // further sentences
}

// Queued is a song that somebody waits for.
type Queued struct {
	Song, Title, Artist string
	Asked               string        // who asked for it
	In                  time.Duration // until it is heard; negative: not known
}

// Role is what a member of the chain is for the node whose screen this is.
type Role int

const (
	// Other is one of many.
	Other Role = iota
	// Self is the listener whose screen this is.
	Self
	// Feeder sends the music to Self, and Fed gets it from Self.
	Feeder
	Fed
	// Gap stands for listeners in between that are not known.
	Gap
)

// Member is one listener of the chain.
type Member struct {
	Name      string
	Role      Role
	Level     int           // how far its branch of the chain is set in
	Note      string        // further words about it
	Measured  bool          // Buffered is known
	Buffered  time.Duration // music that it has and has not played yet
	Underruns uint64        // how often it had none
	Speaker   bool          // it is heard on the loudspeaker
	Kill      bool          // it can be killed from here
}

// Found is the result of a search for songs.
type Found struct {
	Songs []Song
	More  string // a sentence about songs that are not among them
}

// Song can be asked for.
type Song struct {
	Name, Title, Artist string
	Duration            time.Duration // 0: not known
}

// kind is what a line of the news is about.
type kind int

// The kinds of news.
const (
	// Event is about the music and the chain.
	Event kind = iota
	// Trouble is something that somebody should act on.
	Trouble
	typed
	answered
)

// News is a line about something that happened.
type News struct {
	At   time.Time
	Kind kind
	Text string
}
