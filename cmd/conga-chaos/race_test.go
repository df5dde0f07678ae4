//go:build race

package main

// raced: the race detector needs ten times as long, and gives up itself if one process synchronizes too often: the runs
// in virtual time are smaller.
const raced = true
