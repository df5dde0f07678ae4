//go:build unix

package console

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// errHungUp is how a read of a terminal ends that was closed, or belongs to others.
const errHungUp = unix.EIO

// foreground is also true where there are no groups: the terminal is not the one that controls
// this process, or is gone.
func foreground(fd int) bool {
	group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
	return err != nil || group == unix.Getpgrp()
}

// guardIgnores would end a guard before those whom it guards, or stop it when the terminal is the shell's again.
var guardIgnores = []os.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGTTOU, unix.SIGPIPE}

// Endure keeps the process alive whatever becomes of those who watch it: that nobody reads its
// output any more is an error of the write, and to touch the terminal from the background does not
// stop it. A command that only prints must not call it: it ends with its reader.
func Endure() { signal.Ignore(unix.SIGPIPE, unix.SIGTTIN, unix.SIGTTOU) }
