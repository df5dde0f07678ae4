package messages

import (
	"errors"
	"time"

	"google.golang.org/protobuf/proto"
)

// The words between the rooms of one process: actors and the transport
// adapters at their edge. They never travel and are never in the log, so they
// are plain structs. "link" numbers a connection attempt: what an older attempt
// still says is ignored.

// ListSongs asks the catalog, which responds with a List. Nobody changes a list: many may hold it.
type (
	ListSongs struct{}
	List      struct{ Names []string }
)

// ListRequests asks the scheduler, which responds with Requests, next first.
type (
	ListRequests struct{ AtUnixUs int64 }
	Requests     struct{ Waiting []Waiting }
)

// Waiting is a request in the queue. Of the song the name is said, and what else is known.
type Waiting struct {
	Song *Song
	By   string // name of who asked
	Turn Turn
}

// Turn is when a request is to be heard.
type Turn struct {
	Place  int           // in the queue, from 1; 0: it is not there
	In     time.Duration // from now on; negative: nobody knows
	About  bool          // others may still come between
	Reason string        // why it cannot be played now; empty: it can
}

// PlayAnswer answers a RequestPlay: a SongQueued with its Turn, or a PlayRefused.
type PlayAnswer struct {
	Said    proto.Message
	Turn    Turn
	Waiting int // of one person or address, where those are too many
}

// AskLibrary asks the scheduler, which responds with a Library: whoever searches does that in a goroutine of his own, for
// the next song's choice must not wait for it.
type AskLibrary struct{}

// Library are the songs at one moment. It is immutable.
type Library interface {
	// Mean is what somebody means who types the wish.
	Mean(wish string) Meaning
	// Search are the songs that have all the words; none while they are away.
	Search(words string) FoundSongs
}

// Meaning is the song that is meant. If there are several, it is empty, and those are the Choices, the first of
// them, and there are More.
type Meaning struct {
	Song    string
	Choices []Choice
	More    int
}

// FoundSongs are the first songs that were found, and how many there are More.
type FoundSongs struct {
	Songs []Choice
	More  int
}

// Choice is a song with the number that SONGS and PLAY count it by.
type Choice struct {
	Number int
	Song   *Song
}

// CancelAnswer answers a CancelRequest: what was cancelled, or why nothing was.
type CancelAnswer struct {
	Song    string
	Refused CancelRefusal
}

// CancelRefusal is why nothing was cancelled.
type CancelRefusal int

// The refusals of a CancelRequest.
const (
	CancelDone      CancelRefusal = iota
	CancelNone                    // they have no request waiting
	CancelNotYours                // it is somebody else's
	CancelNotQueued               // no song of that name waits
	CancelSeveral                 // several of theirs match
)

// SkipAnswer answers a SkipSong.
type SkipAnswer struct {
	Song          string
	Votes, Needed int
	Result        SkipResult
}

// SkipResult is what a vote has led to.
type SkipResult int

// The results of a SkipSong.
const (
	SkipOff       SkipResult = iota // there is no vote at this radio
	SkipNothing                     // no song is heard that could be skipped
	SkipOver                        // the song ends in this moment, or is skipped already
	SkipAgain                       // they have voted
	SkipHousehold                   // those of their address have as many votes as one address has
	SkipCounted
	SkipDone
)

// ListHistory asks the scheduler, which responds with History, newest first.
type (
	ListHistory struct{ AtUnixUs int64 }
	History     struct{ Heard []HeardSong }
)

// HeardSong is a song that was heard, or is.
type HeardSong struct {
	Song     *Song
	By       string // who asked for it; empty: chance chose it
	PlayAtUs int64
	How      Heard
	Over     bool // else it is heard now
}

// ListListeners asks the chain manager, which responds with Listeners in the chain's order.
type (
	ListListeners struct{}
	Listeners     struct{ Listeners []Listener }
)

// Listener is one of the chain. SinceUs is when it came, in unix microseconds; 0: nobody knows.
type Listener struct {
	Name    string
	SinceUs int64
}

// NoSong answers a ChooseSong while the catalog is empty.
type NoSong struct{}

// FindSong asks the catalog for a song by its file name; it responds with a FoundSong,
// whose Song is nil if there is none.
type (
	FindSong  struct{ Name string }
	FoundSong struct{ Song *Song }
)

// BringAnswer answers a BringSong once the song is in the log.
type BringAnswer struct{}

// UploadRefused is why a song is not taken that somebody brings.
type UploadRefused struct {
	Fault  UploadFault
	Reason string // in words for whoever brings it, and what to do
}

func (r *UploadRefused) Error() string { return r.Reason }

// UploadFault is what is wrong with a song that somebody brings, or with the radio that is to take it.
type UploadFault int

// The faults.
const (
	UploadUnfit    UploadFault = iota // its name or what is in it
	UploadTooLarge                    // it alone
	UploadKnown                       // it is there already
	UploadCut                         // not all of it came
	UploadNoRoom                      // all that were brought, or the disk
	UploadAway                        // the songs folder, or the actor that knows it
)

// LookAgain tells the catalog that a song's file is not what it says.
type LookAgain struct{}

// WantSong tells the catalog that the log has news of songs that somebody waits for.
type WantSong struct{}

// UpstreamOpened: an upstream accepted the listener; its items follow.
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

// UpstreamSeal: a seal came from above, before the items that it covers.
type UpstreamSeal struct {
	Link uint64
	Seal *Seal
}

// UpstreamLeaving: the upstream says that it leaves (DC).
type UpstreamLeaving struct{ Link uint64 }

// UpstreamClosed: the connection could not be made, was refused, or has ended.
// It is the last message of its link.
type UpstreamClosed struct {
	Link   uint64
	Reason string
	Fault  Fault // of the upstream; none if it refused
}

// ErrAnew ends the reading of a broadcast that does not continue: a server that was restored from
// a copy sends another one, with other numbers.
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

// Roll says which listeners have a request connection, and which said goodbye lately. It comes after all that
// the port has told the chain manager so far.
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

// Look asks any actor for its present state, for the debug dump. The actor answers
// into Reply, which has room for the answer: it never blocks.
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

// ChangeOffset changes how much later than its device says the player's sound is heard. Reply, which has room for
// it, gets what is so afterwards.
type ChangeOffset struct {
	Change func(now time.Duration) time.Duration // nil: as it is
	Reply  chan<- DeviceOffset
}

// DeviceOffset is the offset of the device that plays. Without a device there is none.
type DeviceOffset struct {
	Device string
	Offset time.Duration
}

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
