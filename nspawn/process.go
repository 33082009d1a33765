package nspawn

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// unifiedPath is the control group of a process as /proc/PID/cgroup has it.
func unifiedPath(pid int) (string, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return "", err
	}
	return parseCgroup(string(data))
}

// parseCgroup finds the line of the unified hierarchy, which has number 0 and
// no controllers.
func parseCgroup(text string) (string, error) {
	for line := range strings.Lines(text) {
		if path, found := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); found {
			return path, nil
		}
	}
	return "", errors.New("the process is in no control group of version 2")
}

// boundingSet is the capability bounding set of a process.
func boundingSet(pid int) (uint64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(data) {
		if value, found := bytes.CutPrefix(line, []byte("CapBnd:")); found {
			return strconv.ParseUint(string(bytes.TrimSpace(value)), 16, 64)
		}
	}
	return 0, fmt.Errorf("/proc/%d/status: no CapBnd in it", pid)
}

// userMap reports whether the user IDs of a process's namespace are those of the
// host, and which of the host's is its root.
func userMap(pid int) (identity bool, root uint32, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/uid_map", pid))
	if err != nil {
		return false, 0, err
	}
	fields := strings.Fields(string(data))
	if len(fields) < 3 || fields[0] != "0" {
		return false, 0, fmt.Errorf("/proc/%d/uid_map: nobody is root", pid)
	}
	first, err := strconv.ParseUint(fields[1], 10, 32)
	return len(fields) == 3 && first == 0 && fields[2] == "4294967295", uint32(first), err
}
