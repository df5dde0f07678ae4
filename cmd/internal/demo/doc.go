// Package demo is a whole radio in one process, and what a screen shows of it.
package demo
