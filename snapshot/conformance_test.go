package snapshot_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/prologin/rig/snapshot"
	"github.com/prologin/rig/snapshot/snapshottest"
)

func TestBtrfsConforms(t *testing.T) {
	t.Parallel()
	snapshottest.Run(t, func(t *testing.T) *snapshot.Store {
		return openIn(t, poolDir(t), snapshot.Btrfs())
	})
}

func TestCopyConforms(t *testing.T) {
	t.Parallel()
	snapshottest.Run(t, func(t *testing.T) *snapshot.Store {
		return openIn(t, t.TempDir(), snapshot.Copy())
	})
}

// TestCopyOnBtrfsConforms: where blocks are shared.
func TestCopyOnBtrfsConforms(t *testing.T) {
	t.Parallel()
	snapshottest.Run(t, func(t *testing.T) *snapshot.Store {
		return openIn(t, poolDir(t), snapshot.Copy())
	})
}

func TestOverlayConforms(t *testing.T) {
	t.Parallel()
	snapshottest.Run(t, func(t *testing.T) *snapshot.Store {
		return openIn(t, t.TempDir(), snapshot.Overlay())
	})
}

func openIn(t *testing.T, dir string, d snapshot.Driver) *snapshot.Store {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: keeps files of other owners")
	}
	s, err := snapshot.Open(t.Context(), dir, snapshot.Options{Driver: d})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		var errs []error
		for v, err := range s.Volumes(context.Background()) {
			if err == nil {
				err = v.Delete(context.Background())
			}
			errs = append(errs, err)
		}
		if err := errors.Join(append(errs, s.Close())...); err != nil {
			t.Error(err)
		}
	})
	return s
}

func poolDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	p, err := snapshot.CreatePool(t.Context(), filepath.Join(dir, "pool"), 512<<20, filepath.Join(dir, "mnt"))
	if err != nil {
		t.Skipf("needs a btrfs pool: %v", err)
	}
	t.Cleanup(func() {
		if err := p.Destroy(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return p.Dir()
}
