package nspawntest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prologin/rig/internal/tempdir"
	"github.com/prologin/rig/nspawn"
)

const statePrefix = "rig-nspawntest-"

// StateDir returns a path for HostOptions.StateDir that goes with the test. A test
// that is killed leaves its machines running: those whose records are in such a
// directory of a test that is dead are ended first. It needs root.
func StateDir(t testing.TB) string {
	t.Helper()
	err := tempdir.Sweep(statePrefix, func(dir string) error {
		return errors.Join(endMachines(t.Context(), filepath.Join(dir, "state")), os.RemoveAll(dir))
	})
	if err != nil {
		t.Logf("machines of a killed test: %v", err)
	}
	dir, err := tempdir.Make(statePrefix)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dir.Remove(); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(dir.Path, "state")
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
