package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/prologin/rig/internal/testexec"
)

// TestNoPrivilege: whoever is not root is told so, and nothing is made.
func TestNoPrivilege(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := t.TempDir()
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	// A copy, since the program itself may be where nobody else may look.
	self := filepath.Join(dir, "program")
	text, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	testexec.Write(t, self, text)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), roleVariable+"=unprivileged", "SNAPSHOT_TEST_DIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("made %v, %v", left, err)
	}
}

// lackPrivilege is what TestNoPrivilege runs as another user.
func lackPrivilege(dir string) error {
	for name, driver := range map[string]Driver{"": nil, "btrfs": Btrfs(), "overlay": Overlay(), "copy": Copy()} {
		_, err := Open(context.Background(), dir, Options{Driver: driver})
		refused := errors.Is(err, fs.ErrPermission) || name == "btrfs" && errors.Is(err, ErrNotSupported)
		if e, ok := errors.AsType[*Error](err); !ok || e.Hint == "" || !refused {
			return fmt.Errorf("driver %q: %v", name, err)
		}
	}
	_, err := CreatePool(context.Background(), filepath.Join(dir, "pool"), MinPoolSize, filepath.Join(dir, "mnt"))
	if !errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("pool: %v", err)
	}
	found, err := Preflight(context.Background(), dir)
	if err != nil || len(found) == 0 || found[0].Topic != "privilege" || !found[0].Fatal || !strings.Contains(found[0].Remedy, "root") {
		return fmt.Errorf("preflight: %v, %v", found, err)
	}
	return nil
}
