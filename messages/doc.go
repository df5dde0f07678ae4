// Package messages holds every word that conga's rooms say to each other, and
// how the music looks as payload.
//
// Messages that ask are verbs (RequestPlay), events are facts in the past tense
// (SongQueued), reports from the edge say what was seen (PeerLost). Field numbers
// and meanings never change; there are only new fields.
//
//	message           from           to             in the log?
//	ReportSongs       catalog scan   catalog        as the cause
//	MadeSong          catalog's ffmpeg catalog      as the cause
//	LostSongs         catalog scan   catalog        as the cause
//	BringSong         uploads        catalog        as the cause
//	SongBrought       catalog        who asks why   yes
//	SongAdded         catalog        scheduler      yes
//	SongRemoved       catalog        scheduler      yes
//	SongRejected      catalog        the operator   yes
//	SongsAway         catalog        scheduler      yes
//	SongsBack         catalog        scheduler      yes
//	RequestPlay       requests       scheduler      as the cause
//	SongQueued        scheduler      requests       yes
//	PlayRefused       scheduler      requests       yes
//	CancelRequest     requests       scheduler      as the cause
//	SongCancelled     scheduler      requests       yes
//	SkipSong          requests       scheduler      as the cause
//	SkipVoted         scheduler      requests       yes
//	SkipDecided       scheduler      pacer          yes
//	ChooseSong        pacer          scheduler      as the cause
//	SongChosen        scheduler      pacer          yes
//	SetPlaylist       server's start scheduler      as the cause
//	PlaylistSet       scheduler      who asks why   yes
//	SongWaits         scheduler      requests       yes
//	SongSkipped       scheduler      requests       yes
//	OpenBroadcast     server's start pacer          as the cause
//	BroadcastOpened   pacer          all            yes
//	CloseBroadcast    pacer's end    pacer          as the cause
//	BroadcastClosed   pacer          who asks later yes
//	StartSong         pacer's file   pacer          as the cause
//	SongStarted       pacer          all            yes
//	EndSong           pacer's file   pacer          as the cause
//	SongEnded         pacer          all            yes
//	JoinChain         requests       chainmanager   as the cause
//	LeaveChain        requests       chainmanager   as the cause
//	PeerLost          requests       chainmanager   as the cause
//	JoinChains        chainmanager   chainmanager   as the cause
//	PeersLost         chainmanager   chainmanager   as the cause
//	ReportSilent      requests       chainmanager   as the cause
//	Reconnected       requests       chainmanager   no: as ListenerReconnected
//	ExpireAbsent      server's timer chainmanager   as the cause
//	AuditEnded        chainmanager   chainmanager   as the cause
//	WeighDepth        chainmanager   chainmanager   as the cause
//	ExpireVerdicts    server's timer chainmanager   as the cause
//	ListenerJoined    chainmanager   requests       yes
//	ListenerReturned  chainmanager   requests       yes
//	ListenerLeft      chainmanager   requests       yes
//	ListenerMoved     chainmanager   requests       yes
//	BranchMoved       chainmanager   requests       yes
//	ListenerFellSilent chainmanager  who asks why   yes
//	ListenerAudited   chainmanager   who asks why   yes
//	VerdictEnded      chainmanager   who asks why   yes
//	ChainSpliced      chainmanager   requests       yes
//	ListenerReconnected chainmanager who asks why   yes
//	LeaseClaim        a server       other servers  no: in the register beside it
//	Hello … SpeakUp   a listener     the server     no: lines of the request connection
//	Neighbours        chainmanager   a listener     no: follows from the events
//	OpenStream        a listener     its upstream   no: stream connection
//	StreamOpened      an upstream    its listener   no: stream connection
//	OfferStream       an upstream    its listener   no: stream connection
//	AskIdentity       the server     a relay's port no: stream connection
//	ProveIdentity     a relay's port the server     no: stream connection
//	SongChange, Seal  pacer          every node     no: the music itself
//	Item              pacer          every node     no: the music itself
//	PlayerUnderran    player         the node's log the listener's own; twice, if it is long
//	SongHeard         player         the node's log the listener's own
//	PlayerFellSilent  player         the node's log the listener's own
//	PlayerHeardAgain  player         the node's log the listener's own
//	PlayerStepped     player         the node's log the listener's own
//	PlayerOutOfTime   player         the node's log the listener's own
//	StartNode         node's start   relay          as the cause, the listener's own
//	NodeStarted       relay          the node's log the listener's own
//	RequestSent       requester      the node's log the listener's own
//	RequestAnswered   requester      the node's log the listener's own
package messages
