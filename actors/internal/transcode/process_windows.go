package transcode

import (
	"os/exec"
	"syscall"
)

// alone starts the process with a priority below that of most: at the idle one it would stand still on a busy machine.
func alone(cmd *exec.Cmd) {
	const belowNormal = 0x4000
	cmd.SysProcAttr = &syscall.SysProcAttr{HideWindow: true, CreationFlags: belowNormal}
}

func humble(int, bool) {}
