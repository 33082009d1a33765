package nspawn

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// calls gives every command a control group below the machine's own, so that
// limits and Freeze hold for it and its whole process tree can be killed. It is
// read-locked while a command is started.
type calls struct {
	sync.RWMutex
	mu   sync.Mutex
	next int
	left []cgroup // of commands whose children live on, or that were busy
}

// number is another one each time.
func (c *calls) number() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next++
	return c.next
}

// open makes the control group for one command.
func (c *calls) open(machine cgroup) (cgroup, error) {
	n := c.number()
	parent := machine.child("exec")
	g := parent.child(fmt.Sprintf("%d-%d", os.Getpid(), n))
	err := unix.Mkdir(string(g), 0o755)
	if errors.Is(err, unix.ENOENT) {
		// Never the machine's own: that one is there, or it has ended.
		if err := unix.Mkdir(string(parent), 0o755); err != nil && !errors.Is(err, unix.EEXIST) {
			return "", fmt.Errorf("make control group %s: %w", parent, err)
		}
		err = unix.Mkdir(string(g), 0o755)
	}
	if err != nil {
		return "", fmt.Errorf("make control group %s: %w", g, err)
	}
	return g, nil
}

// close removes a command's control group, now or, if some process still lives
// in it, along with that of a later command.
func (c *calls) close(g cgroup) {
	c.mu.Lock()
	defer c.mu.Unlock()
	remaining := c.left[:0]
	for _, old := range append(c.left, g) {
		if err := unix.Rmdir(string(old)); errors.Is(err, unix.EBUSY) {
			remaining = append(remaining, old)
		}
	}
	c.left = remaining
}
