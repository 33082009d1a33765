package lab

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/prologin/rig/internal/qemu"
)

// TestFindStore: a pool is a btrfs wherever it lies; a store that was chosen may be none.
func TestFindStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if isBtrfs(dir) {
		t.Skip("this machine keeps temporary files on a btrfs")
	}
	state := filepath.Join(dir, "state", "not", "made")
	driver := func(o Options) (found *Finding) {
		for _, f := range (&Lab{Options: o}).findStore(t.Context()) {
			if f.Topic == "storage: driver" {
				found = &f
			}
		}
		return found
	}
	pool := Options{State: state}
	if pool.StoreDir() == pool.poolDir() {
		if f := driver(pool); f != nil {
			t.Errorf("with a pool: %v: %s", f.Err, f.Remedy)
		}
	}
	if f := driver(Options{State: state, Store: dir}); f == nil || f.Answer() != "no" || f.Needed || !strings.Contains(f.Remedy, "-store") {
		t.Errorf("with a store that is no btrfs: %+v", f)
	}
}

func TestFindKVM(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]string{
		nil: "yes", qemu.ErrNoExtensions: "no", fs.ErrNotExist: "no", unix.EACCES: "?", errors.New("odd"): "?",
	} {
		f := findKVM(err)
		if f.Answer() != want || f.Needed || (err != nil) != strings.Contains(f.Detail, "-vm emulates") || (err == nil) != (f.Remedy == "") {
			t.Errorf("%v: %s, %+v; want %s", err, f.Answer(), f, want)
		}
	}
}
