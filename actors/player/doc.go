// Package player makes the broadcast heard on a listener's machine: it decodes the
// items of the window and plays every sample when the server's clock says.
//
// One actor (Props) owns five goroutines, and none of them ever holds up the relay:
//
//	reader   Source -> received items          waits for the window
//	decoder  received items -> deck            half a second ahead of the output
//	output   Output.Run pulls from the deck    at the speed of the sound
//	reporter facts -> Config.Report            drops rather than waits
//	heart                                      knows when this program did not run
//
// The deck between decoder and output is the core: a queue of decoded chunks, each with
// the time at which it is due. The output says how far it is, and the deck resamples a little
// faster or slower, so that each sample is heard when it is due. If the sound is wrong by more
// than 3 ms, the deck moves it at once, in a crossfade; if by more than 80 ms, it cuts. A hole in
// the numbers becomes silence of the same length, and so does a chunk that is late, so the
// music after it is in time again.
//
// The bytes come from strangers. Each frame is checked before it is decoded, the decoder's panics
// are caught, and a chunk cannot claim a time or a length that costs memory. The player decides
// nothing that others need: it has no state in a log. It reports trouble (no sound card, a card
// that is pulled, a decoder that panics) once, and then goes on in real time without sound until
// there is a card.
//
// The loudspeaker is a separate process (Speak), a child that asks for frames and gets them.
package player
