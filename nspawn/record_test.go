package nspawn

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// TestRecordOfAnotherView reads what a program wrote that has control groups of version
// 2 at another place than this one: both have to mean the same machine.
func TestRecordOfAnotherView(t *testing.T) {
	t.Parallel()
	mount, err := unifiedMount()
	if err != nil {
		t.Skip(err)
	}
	want := cgroup(mount).child("rig").child("0").child("gw")
	for _, place := range unifiedPlaces {
		dir := t.TempDir()
		written := record{Cgroup: cgroup(place).child("rig").child("0").child("gw")}
		if err := written.save(dir); err != nil {
			t.Fatal(err)
		}
		if read, err := loadRecord(dir); err != nil || read.Cgroup != want {
			t.Errorf("%s is %+v, %v; want %s", written.Cgroup, read, err, want)
		}
	}
}

// TestNameGivenAgain follows a machine that has ended, whose name the program that
// supervised it has given to another before anybody looked.
func TestNameGivenAgain(t *testing.T) {
	t.Parallel()
	h := &Host{}
	h.starters = map[Launcher]starter{LauncherDirect: &direct{h}}
	began := time.Now()
	m := &Machine{host: h, dir: t.TempDir(), record: record{Launcher: LauncherDirect, Nspawn: 1, Started: began}}
	own := os.Getpid()
	other := record{Launcher: LauncherDirect, Nspawn: own, Leader: own, Started: began.Add(time.Second)}
	if err := other.save(m.dir); err != nil {
		t.Fatal(err)
	}
	lock, err := tryLock(filepath.Join(m.dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.release()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if b, err := m.nextByOther(ctx); b != nil || err != nil || m.lock != nil {
		t.Errorf("taken for its next life: %v, %v", b, err)
	}
}

// TestRecordsByTurns has programs make a machine of one name as soon as another's is gone:
// the end of the one does not remove the record of the other.
func TestRecordsByTurns(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "gw")
	var programs errgroup.Group
	for range 4 {
		programs.Go(func() error {
			for range 200 {
				lock, err := lockDir(t.Context(), dir)
				if err != nil {
					return err
				}
				r := record{Started: time.Now()}
				err = r.save(dir)
				time.Sleep(100 * time.Microsecond)
				if err == nil {
					_, err = loadRecord(dir)
				}
				if err := errors.Join(err, removeRecord(dir), lock.release()); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := programs.Wait(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left: %v", err)
	}
}
