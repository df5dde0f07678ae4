// Package usage says what processes use, and how busy the machine is, as Linux' /proc tells it.
package usage

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// CPU returns the time that the process has been on a processor. Unlike /proc/PID/stat, which counts hundredths of a
// second, it is exact; threads that have ended are missing, but Go's do not end.
func CPU(pid int) (time.Duration, error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(tasks) == 0 {
		return 0, fmt.Errorf("process %d has no /proc/%d/task/*/schedstat: conga-bench needs Linux with CONFIG_SCHED_INFO", pid, pid)
	}
	var sum time.Duration
	for _, task := range tasks {
		data, err := os.ReadFile(task)
		if errors.Is(err, os.ErrNotExist) {
			continue // the thread ended meanwhile
		}
		if err != nil {
			return 0, err
		}
		ns, err := strconv.ParseInt(first(data), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", task, err)
		}
		sum += time.Duration(ns)
	}
	return sum, nil
}

// RSS returns how many bytes of memory the process has, and how many of them are its own: the others are pages of its
// program's file, which the system may drop at any time.
func RSS(pid int) (all, own int64, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	all, err = statusBytes(data, "VmRSS:")
	if err != nil {
		return 0, 0, err
	}
	own, err = statusBytes(data, "RssAnon:")
	return all, own, err
}

func statusBytes(status []byte, name string) (int64, error) {
	for line := range bytes.Lines(status) {
		if rest, is := bytes.CutPrefix(line, []byte(name)); is {
			kB, err := strconv.ParseInt(first(rest), 10, 64)
			return kB << 10, err
		}
	}
	return 0, fmt.Errorf("the process's status has no %s", name)
}

// Load returns the load average of the last minute.
func Load() (float64, error) {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(first(data), 64)
}

func first(data []byte) string {
	if fields := strings.Fields(string(data)); len(fields) > 0 {
		return fields[0]
	}
	return ""
}

// System names the machine: its system, kernel and processor.
func System() string {
	name := runtime.GOOS + "/" + runtime.GOARCH
	if kernel, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		name += " " + strings.TrimSpace(string(kernel))
	}
	if cpu, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(cpu)) {
			if key, model, is := strings.Cut(line, ":"); is && strings.TrimSpace(key) == "model name" {
				return name + ", " + strings.TrimSpace(model)
			}
		}
	}
	return name
}

// Memory is what a part of this process needs: bytes that are in use after a garbage collection, with the stacks, and
// goroutines.
type Memory struct{ Bytes, Goroutines float64 }

// MemoryNow returns what this process needs.
func MemoryNow() Memory {
	runtime.GC()
	runtime.GC() // what finalizers and pools held until now
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return Memory{float64(stats.HeapAlloc + stats.StackInuse), float64(runtime.NumGoroutine())}
}

// Less returns the difference.
func (m Memory) Less(before Memory) Memory {
	return Memory{m.Bytes - before.Bytes, m.Goroutines - before.Goroutines}
}

// Each returns the share of one of n.
func (m Memory) Each(n int) Memory {
	return Memory{m.Bytes / float64(max(n, 1)), m.Goroutines / float64(max(n, 1))}
}
