package rigtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
)

// namePrefix begins the names of all machines and trees of tests on the host. Their
// process and a number follow, then the name that the test gave.
const namePrefix = "rigtest."

// count tells the machines of this process apart.
var count atomic.Int64

func machineName(name string) string {
	pid := os.Getpid()
	return fmt.Sprintf("%s%d-%s.%d.%s", namePrefix, pid, startTime(pid), count.Add(1), name)
}

// leftBehind reports whether a machine is that of a test whose process is no more.
func leftBehind(machine string) bool {
	rest, ours := strings.CutPrefix(machine, namePrefix)
	process, _, _ := strings.Cut(rest, ".")
	pid, started, _ := strings.Cut(process, "-")
	n, err := strconv.Atoi(pid)
	return ours && err == nil && startTime(n) != started
}

// startTime tells a process from an earlier or a later one with the same number. It is
// the 22nd field of /proc/PID/stat, proc(5), and empty if there is no such process or
// nothing is left of it but its exit status.
func startTime(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return ""
	}
	return fields[19] // the third field of all is the first here
}

// sweep removes the machines and trees of tests whose process is no more.
func (l *Lab) sweep(ctx context.Context) error {
	names, err := l.lab.Names(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		if leftBehind(name) {
			errs = append(errs, l.lab.Discard(ctx, name))
		}
	}
	return errors.Join(errs...)
}
