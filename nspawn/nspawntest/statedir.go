package nspawntest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/prologin/rig/nspawn"
)

const statePrefix = "rig-nspawntest-"

// StateDir returns a path for HostOptions.StateDir that goes with the test. A test
// that is killed leaves its machines running: those whose records are in such a
// directory of a test that is dead are ended first. It needs root.
func StateDir(t testing.TB) string {
	t.Helper()
	if err := sweep(t.Context(), os.TempDir()); err != nil {
		t.Logf("machines of a killed test: %v", err)
	}
	dir, owner, err := claim()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(os.RemoveAll(dir), owner.Close()); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(dir, "state")
}

// claim makes a directory that is locked until its owner closes it or dies. It gets
// the name that sweep looks for once it is.
func claim() (dir string, owner *os.File, err error) {
	hidden, err := os.MkdirTemp("", "new-"+statePrefix)
	if err != nil {
		return "", nil, err
	}
	if owner, err = lock(hidden); err != nil {
		return "", nil, errors.Join(err, os.Remove(hidden))
	}
	dir = filepath.Join(filepath.Dir(hidden), strings.TrimPrefix(filepath.Base(hidden), "new-"))
	if err := os.Rename(hidden, dir); err != nil {
		return "", nil, errors.Join(err, owner.Close(), os.Remove(hidden))
	}
	return dir, owner, nil
}

// lock takes the lock on a directory, or fails at once.
func lock(dir string) (*os.File, error) {
	file, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// sweep ends the machines of dead tests and removes their directories.
func sweep(ctx context.Context, parent string) error {
	dirs, err := filepath.Glob(filepath.Join(parent, statePrefix+"*"))
	for _, dir := range dirs {
		owner, lockErr := lock(dir)
		if lockErr != nil {
			continue // it lives, or another sweeps it
		}
		err = errors.Join(err, endMachines(ctx, filepath.Join(dir, "state")), os.RemoveAll(dir), owner.Close())
	}
	return err
}

func endMachines(ctx context.Context, stateDir string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	host, err := nspawn.Open(ctx, nspawn.HostOptions{StateDir: stateDir})
	if err != nil {
		return err
	}
	for m, findErr := range host.Machines(ctx) {
		if err = errors.Join(err, findErr); findErr == nil {
			err = errors.Join(err, m.Kill(ctx))
		}
	}
	return errors.Join(err, host.Close())
}
