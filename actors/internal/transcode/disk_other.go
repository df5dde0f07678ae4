//go:build unix && !linux

package transcode

import "syscall"

func idleDisk(int) {}

func endsWithUs(*syscall.SysProcAttr) {}
