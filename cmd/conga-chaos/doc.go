// Command conga-chaos breaks nodes of conga and the cables between them, on a schedule that follows from a seed.
// It fails if a listener that was not hit itself loses any music. conga-chaos servers does so to the servers of a radio that has
// two, and to those of NATS that keep its log.
package main
