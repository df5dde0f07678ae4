package transcode

import (
	"os/exec"
	"syscall"
)

// alone starts the process with idle priority.
func alone(cmd *exec.Cmd) {
	const idlePriority = 0x40
	cmd.SysProcAttr = &syscall.SysProcAttr{HideWindow: true, CreationFlags: idlePriority}
}

func humble(int, bool) {}
