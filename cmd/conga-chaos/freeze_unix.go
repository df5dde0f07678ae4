//go:build unix

package main

import (
	"os"
	"syscall"
)

// canFreeze says whether this system can stop a process for a while.
const canFreeze = true

func freezeProcess(p *os.Process) { _ = p.Signal(syscall.SIGSTOP) } // an error means that it has ended already
func thawProcess(p *os.Process)   { _ = p.Signal(syscall.SIGCONT) }
