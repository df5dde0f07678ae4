package messages

import "time"

// What more than one room must agree on.
const (
	// ServerID is the chain's name for the server itself.
	ServerID = "server"
	// DialectVersion is the version of the native dialect.
	DialectVersion = 1
	// SamplesPerFrame is fixed by MPEG-1 layer III.
	SamplesPerFrame = 1152
	// MaxPayload is all that the four length digits of a stream header can say.
	MaxPayload = 9999
	// MaxLine is the longest line of a request connection, its newline included.
	MaxLine = 4096
	// MaxName is the longest name of a node, in bytes.
	MaxName = 64
	// MaxSongName is the longest name of a song, its path in the songs folder, in bytes: a line of SONGS or
	// REQUESTS has room for it.
	MaxSongName = 480
	// MaxChunkDuration bounds a chunk: as many whole frames as fit, at least one.
	MaxChunkDuration = 110 * time.Millisecond
	// LoudspeakerAhead is how long before it is heard a loudspeaker wants a chunk: what it takes
	// in advance, and the time to decode.
	LoudspeakerAhead = 400 * time.Millisecond
	// JoinAhead is how long before it is heard a newcomer's first chunk arrives. Some devices need more: what comes
	// too late for them is left out. What follows comes as fast as the line carries it.
	JoinAhead = 150 * time.Millisecond
	// JoinReserve is how much music a newcomer must have in hand before it begins to play, so that it does not run dry at
	// once where the line is hardly faster than the music.
	JoinReserve = 200 * time.Millisecond
	// Window is how much of the broadcast each node keeps for those who must catch up.
	Window = 12 * time.Second
	// Ancestors is how many nodes above it each node knows.
	Ancestors = 3
	// MaxFeed is the most listeners that a node may offer to feed. Of those that may turn to it, it is told some thirty, which
	// must be all of the next two generations.
	MaxFeed = 4
	// MaxChains is the most listeners that the server may be told to feed.
	MaxChains = 64
	// AutoChains is the most that it feeds if it is to decide itself.
	AutoChains = 4
	// Heartbeat is the longest a living stream connection says nothing; see HeartbeatIn.
	Heartbeat = 250 * time.Millisecond
	// StampEvery is how often a stream that has music to send says what time it is.
	StampEvery = 500 * time.Millisecond
	// SilenceIsDeath is how long an upstream may say nothing: below Slack, above
	// Heartbeat and a lost packet or two; see SilenceIn.
	SilenceIsDeath = time.Second
	// ListenerSilence is how long a listener may say nothing to the server: its pings are at most 16 s apart, and a
	// process that is frozen for good must not keep a place in the chain. Whoever stands behind it notices much earlier.
	ListenerSilence = 25 * time.Second
	// SealItems is how many items one Seal covers: about a second and a half.
	SealItems = 16
	// HashSize is how much of an item's SHA-256 travels: a forger needs 2^80 tries
	// for one item, and has two seconds. More would not fit into 2 % of the music.
	HashSize = 10
)

// MaxServers is how many servers a radio may have, as its listeners know them.
const MaxServers = 8
