// Conga-bench measures conga, each time against a baseline: a small program that does only the same job. It prints a
// table and writes JSON; `make bench` runs it, `make bench-check` compares a new run with the last one that was kept.
//
// Every line is a ratio. Conga and the baseline are measured in the same minute, in turn, as often as --rounds says; the
// medians count, and the ratio is the median of the rounds' ratios. So runs of different machines can be compared. Each
// thing that is measured has a process of its own, whose processor time and memory are read from /proc (all its
// threads', to the nanosecond). The first lines of the table say how busy the machine was.
//
// # A running chain (group chain)
//
// For each length of the chain: `conga serve` in a process, and in another one so many listeners, each as `conga join
// --output none` runs it: window, checks, the player's books, no decoding. They join one after another, run for
// --settle, and are then looked at for --for. The baselines follow, with as many relays or clients.
//
//   - hop latency: from the moment when a listener's read returned with the last byte of a chunk to the same moment at
//     the next listener, over all hops and all chunks. The raw relay is timed at the same place.
//   - listeners' CPU: processor time a second of the process with all listeners.
//   - memory and goroutines of a listener: what is in use after a garbage collection, with the stacks, less what was in
//     use before the first one joined, for each listener. The window's music is in it.
//   - server's CPU, RSS, own memory, upload: of the process `conga serve`. Its CPU is measured at the longest chain once more
//     after --calm: until then newcomers ask for the time often, in turns. Its own memory is what is not pages of its
//     program's file, which the system maps in pieces of up to 2 MB and may drop. The upload is its stream bytes for each item of the
//     broadcast, times the items a second; that of the baselines is what their clients got.
//   - server's bytes, to all: what it sends on all streams together for each item of the broadcast, against the mp3 frames in
//     a chunk. If a listener cost it anything, this would grow with the chain.
//   - bytes on the wire: what a listener's connection carries for each chunk (seals, stamps, headers), against the mp3
//     frames in it. It is counted from the end of a chunk to the end of another.
//   - joining one after another: all listeners, each until the server has welcomed it, against as many TLS connections
//     that get one message.
//   - join to first chunk, to first sound: a listener that plays joins, hears and leaves, 20 times a round, when nobody
//     else is there (no nodes) and at the end of the longest chain. Its first chunk has come when the read returned; the
//     first sound is the first sample that is not silence and that its loudspeaker takes, which is due 0.15 s after the
//     chunk came (messages.JoinAhead).
//   - splice: listeners somewhere in the chain die, their connections with them; from then until another node has
//     answered the orphan.
//
// The baselines: the raw relay reads a message and writes it, in one goroutine a hop, either 1 KiB for each mp3 frame or
// messages as long and as often as conga's chunks; the fan-out server writes those to each client; Icecast is Debian's,
// if it is installed; the TLS greeting is a server that sends each client one message.
//
// # The other groups
//
//   - joins: the longest chain (at most 1,000) comes together, all listeners at the same moment, against as many TLS
//     connections. A listener that the server is too busy for tries again 50 ms later, and its time goes on.
//   - relay: the server's clock jumps by eight seconds, so its music goes through 10 listeners as fast as it can: 72
//     chunks; in bytes of mp3, from the first chunk's arrival at the first listener to the last one's at the last. io.Copy sends the
//     same bytes through 10 hops; on Linux these never enter the program (splice).
//     A third of io.Copy is the goal, and is missed: before a node passes on 16 chunks it checks their seal's signature, some
//     50 µs; 72 chunks are five seals, so ten nodes on two cores check for longer than io.Copy takes altogether.
//   - decode: ten listeners that play (decode, resample, steer, a loudspeaker that takes 10 ms every 10 ms), less ten that
//     only keep books, for each; against decoding alone, by go-mp3. Seconds of processor time a second of music.
//   - log: events that one writer appends, and 64 that wait each for their own; each is on the disk when it counts. The
//     file beside it gets the same bytes, with a sync for each event, or for each 64. Then a log of a million events, songs
//     asked for and chosen in turn: how fast the scheduler's state follows from it, once all hashes have been checked,
//     against reading its rows; and how long it takes from a closed folder to that state, with that check, against opening
//     the store.
//     A million events a second is the goal. A replay is as fast as SQLite reads the rows, some microsecond each; decoding and
//     applying take half as long, and are done meanwhile.
//   - program: from the start of the process until `conga version` has ended, and until `conga serve` is ready (its log,
//     its key and the songs folder are new); the file's size; the memory of a server with one listener, and of a listener
//     that plays silently, after --settle. The baseline is a Go program that says hello and waits; so `go` must be there.
//     20 MB for a listener is the goal, and is missed: of some 37 MB, 27 are pages of the program itself, and 9 its own.
//
// # What takes long
//
// With --long the chain is also measured at 3,000 nodes, and two groups follow, once each:
//
//   - longest: the longest chain of which no listener had nothing to play, and none lost an item, for 20 s; found by
//     halves, to 250 nodes. All of it, the server and the listeners, is on this machine.
//   - clone: git clone, make conga with an empty build cache, conga demo, until its recording has the first sample that is
//     not silence. Modules that Go has downloaded before are not downloaded again. The baseline is building a Go program
//     that says hello, with an empty cache, too.
//
// # How to use it
//
// `make bench` writes bin/bench.json. `make bench-keep`, on a quiet machine, writes results/DATE.json, where `conga-bench
// check` finds it, and draws results/cost.svg. --profile writes profiles of running chains, taken after they were measured.
package main
