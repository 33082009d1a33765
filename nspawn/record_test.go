package nspawn

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

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
