package messages

import (
	"errors"
	"time"

	"google.golang.org/protobuf/proto"
)

// The messages between the rooms of one process: actors and the transport
// adapters at their edge. They are never sent to other nodes and never in the log, so
// they are plain structs. "link" numbers a connection attempt; messages of older
// attempts are ignored.

// ListSongs asks the catalog, which responds with a List. Nobody changes a list, so many may hold it.
type (
	ListSongs struct{}
	List      struct{ Names []string }
)

// ListRequests asks the scheduler, which responds with Requests, next first.
type (
	ListRequests struct{ AtUnixUs int64 }
	Requests     struct{ Waiting []Waiting }
)

// Waiting is a request in the queue. Its song has a name, and what else is known.
type Waiting struct {
	Song *Song
	By   string // name of the person who asked
	Turn Turn
}

// Turn is when a request is to be heard.
type Turn struct {
	Place  int           // in the queue, from 1; 0: it is not there
	In     time.Duration // from now on; negative: not known
	About  bool          // others may still come between
	Reason string        // why it cannot be played now; empty: it can
}

// PlayAnswer answers a RequestPlay: a SongQueued with its Turn, or a PlayRefused.
type PlayAnswer struct {
	Said    proto.Message
	Turn    Turn
	Waiting int // how many requests of the person or address wait, if they are too many
}

// AskLibrary asks the scheduler, which responds with a Library. The search itself runs outside the scheduler, because the
// choice of the next song must not wait for it.
type AskLibrary struct{}

// Library has the songs at one moment. It is immutable.
type Library interface {
	// Mean returns the songs that a typed wish may mean.
	Mean(wish string) Meaning
	// Search returns the songs that have all the words; none while the songs are away.
	Search(words string) FoundSongs
	// Song is the song of that name; nil: there is none.
	Song(name string) *Song
}

// Meaning is the song that is meant. If several may be meant, Song is empty, Choices are the first of them, and More
// counts the others.
type Meaning struct {
	Song    string
	Choices []Choice
	More    int
}

// FoundSongs are the first songs that were found; More counts the others.
type FoundSongs struct {
	Songs []Choice
	More  int
}

// Choice is a song with its number in SONGS and PLAY.
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
	SkipOver                        // the song is just ending, or is skipped already
	SkipAgain                       // the person has voted
	SkipHousehold                   // their address has used up its votes
	SkipCounted
	SkipDone
)

// ListHistory asks the scheduler, which responds with History, newest first.
type (
	ListHistory struct{ AtUnixUs int64 }
	History     struct{ Heard []HeardSong }
)

// HeardSong is a song that was heard or is being heard.
type HeardSong struct {
	Song     *Song
	By       string // who asked for it; empty: nobody
	PlayAtUs int64
	How      Heard
	Over     bool // false: it is heard now
}

// ListListeners asks the chain manager, which responds with Listeners in the chain's order.
type (
	ListListeners struct{}
	Listeners     struct{ Listeners []Listener }
)

// Listener is one of the chain. SinceUs is when it came, in unix microseconds; 0: not known.
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

// LookAgain tells the catalog that a song's file could not be played as the catalog describes it.
type LookAgain struct{}

// WantSong tells the catalog that the log has new requests.
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
	// SentUs is the upstream's newest stamp, the time when it was sent, in unix
	// microseconds on the server's clock; 0 if none came since the last item.
	SentUs int64
}

// UpstreamSeal: a seal came from above, before the items that it covers.
type UpstreamSeal struct {
	Link uint64
	Seal *Seal
}

// UpstreamAtOnce is what came from above at once, in order: *UpstreamItem and *UpstreamSeal. The link keeps the list.
type UpstreamAtOnce []any

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

// StreamOffered: a node above has dialled this one. The receiver redeems the ticket, or refuses it.
type StreamOffered struct {
	Node   *Node
	Ticket uint64
}

// FindFeeder asks the chain manager who would feed a client of 2016 that joins now. It answers
// into Reply, which has room for the answer.
type FindFeeder struct{ Reply chan<- *Node }

// CallRoll asks the request port who is there. It answers with Roll. A chain manager that was
// restarted may have lost the last messages.
type CallRoll struct{}

// Roll says which listeners have a request connection, and which said goodbye lately. It comes after everything that
// the port has told the chain manager before.
type Roll struct {
	Here []string
	Left []string
}

// SayGoodbye asks the stream connections to tell their listeners that this node
// goes (DC); they close when the listener has gone elsewhere.
type SayGoodbye struct{}

// ServerAway: the listener has lost its request connection to the server. WELCOME says that there is one again.
type ServerAway struct{}

// RequestsOpened, RequestsSaid and RequestsClosed: a listener's connection to the server's
// requests, and a line of the server on it, which came at that time.
type (
	RequestsOpened struct{ Link uint64 }
	RequestsSaid   struct {
		Link uint64
		Said proto.Message
		At   time.Time
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

// SongSum is the sum of a song that was sent or received. By it the debug dump shows
// whether a listener got what the server sent.
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
	Unlogged bool // a program asks, not a person: it is not in the listener's log
	Reply    chan<- []string
}

// SetGain tells the player how loud to play: 1 leaves the song as it is, 0 is silence. Music that is passed on or
// recorded does not change.
type SetGain struct{ Gain float64 }

// ChangeOffset changes how much later than its device says the player's sound is heard. Reply, which has room for
// it, gets the offset afterwards.
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

// Standing is a listener's place: outside the chain, inside, or fed by the
// server itself.
type Standing int

// The server serves all listeners in the chain; those that it feeds come first.
const (
	StandingOutside Standing = iota
	StandingInChain
	StandingFedByServer
)
