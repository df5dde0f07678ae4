//go:build unix

package console

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// errHungUp is the error of reading a terminal that was closed, or belongs to another process group.
const errHungUp = unix.EIO

// foreground is also true if there are no groups, because the terminal does not control
// this process, or is gone.
func foreground(fd int) bool {
	group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
	return err != nil || group == unix.Getpgrp()
}

// guardIgnores lists the signals that would end a guard before the program that it guards, or stop it once the terminal
// is the shell's again.
var guardIgnores = []os.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGTTOU, unix.SIGPIPE}

// Endure keeps the process alive without its watchers: if nobody reads its output any more, only the
// write fails, and using the terminal from the background does not stop the process. A command
// that only prints must not call it, because it should end with its reader.
func Endure() { signal.Ignore(unix.SIGPIPE, unix.SIGTTIN, unix.SIGTTOU) }
