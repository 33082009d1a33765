package rigtest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/prologin/rig/internal/proc"
)

// namePrefix begins the names of all machines and trees of tests on the host. Their
// process and a number follow, then the name that the test gave.
const namePrefix = "rigtest."

// count tells the machines of this process apart.
var count atomic.Int64

func machineName(name string) (string, error) {
	pid := os.Getpid()
	started, err := proc.StartTime(pid)
	return fmt.Sprintf("%s%d-%s.%d.%s", namePrefix, pid, started, count.Add(1), name), err
}

// leftBehind reports whether a machine is that of a test whose process is no more.
func leftBehind(machine string) bool {
	rest, ours := strings.CutPrefix(machine, namePrefix)
	process, _, _ := strings.Cut(rest, ".")
	pid, started, _ := strings.Cut(process, "-")
	n, err := strconv.Atoi(pid)
	if !ours || err != nil {
		return false
	}
	now, err := proc.StartTime(n)
	return errors.Is(err, fs.ErrNotExist) || err == nil && now != started
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
