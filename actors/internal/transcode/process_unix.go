//go:build unix

package transcode

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// alone gives the process a group of its own, which is killed as a whole.
func alone(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	endsWithUs(cmd.SysProcAttr)
	cmd.Cancel = func() error {
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); !errors.Is(err, syscall.ESRCH) {
			return err
		}
		return os.ErrProcessDone
	}
}

const (
	// politeWanted and politeAhead are the priorities of a conversion that somebody waits for, and of another. On two
	// processors with 13 programs that wanted them, a second of work took 11 s at 5, 41 s at 10, and 109 s at 19.
	politeWanted = 5
	politeAhead  = 10
)

// humble lowers the priority of the process, so that the music comes first. If nobody waits for it, it also has the disk only
// when nobody else wants it. If the system does not allow that, it keeps its priority.
func humble(pid int, wanted bool) {
	if wanted {
		_ = syscall.Setpriority(syscall.PRIO_PGRP, pid, politeWanted)
		return
	}
	_ = syscall.Setpriority(syscall.PRIO_PGRP, pid, politeAhead)
	idleDisk(pid)
}
