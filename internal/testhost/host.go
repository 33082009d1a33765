package testhost

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/prologin/rig/internal/testroot"
)

// Host is a booted Debian with systemd as its PID 1, which one or several
// processes use at a time. Its methods may be called concurrently.
type Host struct {
	cfg    Config
	name   string
	state  string   // its directory, below dir()
	users  *os.File // holds the shared lock of state/users while we use the host
	leader record   // its PID 1, or QEMU

	mu      sync.Mutex
	visible []string // what a command in a virtual host must see
}

func newHost(cfg Config) *Host {
	name := cfg.name()
	return &Host{cfg: cfg, name: name, state: filepath.Join(dir(), "run", name)}
}

// Acquire returns the host that cfg describes: the running one if there is one,
// else it is booted, after whatever was left of a killed one is swept, and its
// image is built if it was not yet. Ready means that systemd has started all that
// it starts at boot. [Host.Release] it. Needs root privileges; the error is an
// [*Error] or a testroot error.
func Acquire(ctx context.Context, cfg Config) (*Host, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	h := newHost(cfg)
	if os.Geteuid() != 0 {
		return nil, h.wrap("boot", testroot.ErrNotRoot)
	}
	unlock, err := testroot.Lock(ctx, h.path("lock"))
	if err != nil {
		return nil, h.wrap("boot", err)
	}
	defer unlock()
	if h.join() != nil {
		if err := h.boot(ctx); err != nil {
			return nil, h.wrap("boot", err)
		}
	}
	if err := h.use(); err != nil {
		return nil, h.wrap("boot", err)
	}
	return h, nil
}

// Name is the host's machine name.
func (h *Host) Name() string { return h.name }

// Release ends our use of the host. The last to leave ends it and removes all
// that was its own, unless [Host.Keep] was called by anyone.
func (h *Host) Release(ctx context.Context) error {
	unlock, err := testroot.Lock(ctx, h.path("lock"))
	if err != nil {
		return h.wrap("stop", err)
	}
	defer unlock()
	defer func() {
		// Closing alone does not unlock while a child between fork and exec has it as well.
		_ = unix.Flock(int(h.users.Fd()), unix.LOCK_UN)
		h.users.Close()
	}()
	switch last, err := h.last(); {
	case err != nil:
		return h.wrap("stop", err)
	case !last:
		return nil
	}
	if _, kept := os.Stat(h.path("keep")); kept == nil {
		return nil
	}
	return h.wrap("stop", h.stop(ctx))
}

// last tells whether we alone use the host. After a [Stop] we use none.
func (h *Host) last() (bool, error) {
	now, err := os.Stat(h.path("users"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	ours, err2 := h.users.Stat()
	if err := errors.Join(err, err2); err != nil || !os.SameFile(now, ours) {
		return false, err
	}
	err = unix.Flock(int(h.users.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

// Keep leaves the host running when its last user has left, until [Stop].
func (h *Host) Keep() error {
	return h.wrap("boot", os.WriteFile(h.path("keep"), nil, 0o644))
}

// Stop ends the host that cfg describes, whoever uses it, and removes all that
// was its own. It is no error if there is none.
func Stop(ctx context.Context, cfg Config) error {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return err
	}
	h := newHost(cfg)
	if _, err := os.Stat(h.state); err != nil {
		return nil
	}
	unlock, err := testroot.Lock(ctx, h.path("lock"))
	if err != nil {
		return h.wrap("stop", err)
	}
	defer unlock()
	return h.wrap("stop", h.stop(ctx))
}

// use takes the shared lock that tells the last to leave from the others.
func (h *Host) use() error {
	f, err := os.OpenFile(h.path("users"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_SH); err != nil {
		f.Close()
		return err
	}
	h.users = f
	return nil
}

func (h *Host) path(name string) string { return filepath.Join(h.state, name) }

func (h *Host) say(format string, args ...any) {
	fmt.Fprintf(h.cfg.Output, "testhost: "+format+"\n", args...)
}
