// Package proc reads what the kernel tells of processes, proc(5).
package proc

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// Stat returns the fields of /proc/PID/stat from the third on, which is the first here.
// The second is a name in parentheses that may hold anything. The error is
// [fs.ErrNotExist] if there is no such process.
func Stat(pid int) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, syscall.ESRCH) { // it ended between open and read
		err = noProcess(pid)
	}
	if err != nil {
		return nil, err
	}
	return strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:])), nil
}

// StartTime tells a process from an earlier or a later one of the same number. The
// error is [fs.ErrNotExist] if there is no such process, or nothing is left of it but
// its exit status.
func StartTime(pid int) (string, error) {
	fields, err := Stat(pid)
	if err != nil {
		return "", err
	}
	const state, started = 0, 22 - 3
	if len(fields) <= started {
		return "", fmt.Errorf("/proc/%d/stat: only %d fields", pid, len(fields))
	}
	if fields[state] == "Z" || fields[state] == "X" {
		return "", noProcess(pid)
	}
	return fields[started], nil
}

func noProcess(pid int) error { return fmt.Errorf("process %d: %w", pid, fs.ErrNotExist) }
