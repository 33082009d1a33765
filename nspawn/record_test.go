package nspawn

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
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
