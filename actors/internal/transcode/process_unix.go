//go:build unix

package transcode

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// alone gives the process a group of its own, which ends as a whole.
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

// humble has the process work behind all others, or, if nobody waits for it, only when they have nothing to do. Where
// that is not allowed, it works as all do.
func humble(pid int, wanted bool) {
	if wanted {
		_ = syscall.Setpriority(syscall.PRIO_PGRP, pid, 5)
		return
	}
	_ = syscall.Setpriority(syscall.PRIO_PGRP, pid, 19)
	idleDisk(pid)
}
