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

// humble lowers the priority of the process: to the lowest, for disks, too, if nobody waits for it. If the system does
// not allow that, it keeps its priority.
func humble(pid int, wanted bool) {
	if wanted {
		_ = syscall.Setpriority(syscall.PRIO_PGRP, pid, 5)
		return
	}
	_ = syscall.Setpriority(syscall.PRIO_PGRP, pid, 19)
	idleDisk(pid)
}
