// Package logbook is conga log: it reads, checks, replays and moves a node's event log.
package logbook
