package messages

import (
	"errors"

	"google.golang.org/protobuf/proto"
)

// The words between the rooms of one process: actors and the transport
// adapters at their edge. They never travel and are never in the log, so they
// are plain structs. "link" numbers a connection attempt: what an older attempt
// still says is ignored.

// ListSongs asks the catalog, ListRequests the scheduler; each responds with a List. Notes are
// what there is to say of the names, each "" if it is nothing; there may be none. Nobody changes a
// list: many may hold it.
type (
	ListSongs    struct{}
	ListRequests struct{}
	List         struct{ Names, Notes []string }
)

// NoSong answers a ChooseSong while the catalog is empty.
type NoSong struct{}

// FindSong asks the catalog for a song by its file name; it responds with a FoundSong,
// whose Song is nil if there is none.
type (
	FindSong  struct{ Name string }
	FoundSong struct{ Song *Song }
)

// LookAgain tells the catalog that a song's file is not what it says.
type LookAgain struct{}

// WantSong tells the catalog that the log has news of songs that somebody waits for.
type WantSong struct{}

// UpstreamOpened: an upstream took the listener in; its items follow.
type UpstreamOpened struct {
	Link   uint64
	Answer *StreamOpened
}

// UpstreamItem: an item came from above. Song and Seal of the item are not set.
// The connection reads on only as far as the relay grants it with Credit.
type UpstreamItem struct {
	Link uint64
	Item *Item
	// SentUs is the newest word of the upstream that says when it was sent, in unix
	// microseconds on the server's clock; 0 if none came since the item before.
	SentUs int64
}

// UpstreamSeal: a seal came from above, BEFORE the items that it covers.
type UpstreamSeal struct {
	Link uint64
	Seal *Seal
}

// UpstreamLeaving: the upstream says that it goes (DC).
type UpstreamLeaving struct{ Link uint64 }

// UpstreamClosed: the connection could not be made, was refused, or has ended.
// It is the last word of its link.
type UpstreamClosed struct {
	Link   uint64
	Reason string
	Fault  Fault // of the upstream; none if it refused
}

// ErrAnew ends the reading of a broadcast that does not go on: a server that was restored from
// a copy sends another one, whose numbers begin elsewhere.
var ErrAnew = errors.New("the broadcast begins anew")

// Credit lets an upstream connection read one more item.
type Credit struct{}

// DownstreamOpened and DownstreamClosed: a listener's connection to this node.
type (
	DownstreamOpened struct{ Node *Node }
	DownstreamClosed struct {
		Node   *Node
		Reason string
	}
)

// OfferMusic asks the stream port to dial To and offer it the music, again and again
// while it is not taken, until another OfferMusic names another node or none.
type OfferMusic struct{ To *Node }

// StreamOffered: a node above has dialled this one. Whoever is told redeems the ticket, or refuses it.
type StreamOffered struct {
	Node   *Node
	Ticket uint64
}

// FindFeeder asks the chain manager who would feed a client of 2016 that joins now. It answers
// into Reply, which has room for the answer.
type FindFeeder struct{ Reply chan<- *Node }

// CallRoll asks the request port, which answers with Roll, who is there: a chain manager that was
// restarted may have forgotten what it was told last.
type CallRoll struct{}

// Roll says which listeners have a request connection, and which said goodbye lately. Whatever the
// port has told the chain manager before, it has said BEFORE.
type Roll struct {
	Here []string
	Left []string
}

// SayGoodbye asks the stream connections to tell their listeners that this node
// goes (DC); they close when the listener has gone elsewhere.
type SayGoodbye struct{}

// RequestsOpened, RequestsSaid and RequestsClosed: a listener's connection to the server's
// requests, and a line of the server on it.
type (
	RequestsOpened struct{ Link uint64 }
	RequestsSaid   struct {
		Link uint64
		Said proto.Message
	}
	RequestsClosed struct {
		Link   uint64
		Reason string
	}
)

// Look asks any actor what it is at this moment, for the debug dump. The actor
// answers into Reply, which has room for the answer: it never blocks.
type Look struct{ Reply chan<- View }

// View is an actor's answer to Look. State is what the log alone determines, as it is
// after event Seq; it is immutable. Live is the rest. Both marshal to JSON.
type View struct {
	Actor string
	Seq   uint64
	State any
	Live  any
}

// SongSum is a song that was given out, or received, whole: the debug dump's way to
// compare what a listener has with what the server sent.
type SongSum struct {
	Song   string `json:"song"`
	First  uint64 `json:"first"`  // number of its first chunk
	Chunks uint64 `json:"chunks"` // how many, with consecutive numbers
	SHA256 string `json:"sha256"` // over the mp3 frames of all its chunks, in order
}

// MaxSongSums is how many songs a node remembers for comparison.
const MaxSongSums = 64

// TypedLine is a request from the keyboard; the requester sends its answer's lines into
// Reply, which has room for it. While the server is away the answer waits.
type TypedLine struct {
	Line     string
	Unlogged bool // nobody has typed it: the listener's log does not tell of it
	Reply    chan<- []string
}

// SetGain tells the player how loud to play: 1 is as the song is, 0 is silence. What is passed on or recorded
// stays as it is.
type SetGain struct{ Gain float64 }

// Leave asks the requester to tell the server that this listener goes.
type Leave struct{}

// Standing is how the chain manager has a listener: outside the chain, inside, or fed by the
// server itself.
type Standing int

// The server serves all that stand in the chain, and lets those come first whom it feeds.
const (
	StandingOutside Standing = iota
	StandingInChain
	StandingFedByServer
)
