package nspawn_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// base is a bootable root that tests share read-only.
var base struct {
	once sync.Once
	dir  string
	err  error
}

// newRoot returns a writable root that boots, and goes with the test: an overlay
// over one base.
func newRoot(t testing.TB) string {
	t.Helper()
	privileged(t)
	base.once.Do(func() { base.dir, base.err = findBase() })
	if base.err != nil {
		t.Skipf("no bootable root: %v", base.err)
	}
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	// The work directory's child has mode 0; the test's clean-up removes all.
	data := "lowerdir=" + base.dir + ",upperdir=" + dir + "/upper,workdir=" + dir + "/work"
	for _, name := range []string{"root", "upper", "work"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(dir, name), 0o755); err != nil { // whatever the umask
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("mount", "-t", "overlay", "overlay", "-o", data, root).CombinedOutput(); err != nil {
		t.Skipf("overlay: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", root).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return root
}

func findBase() (string, error) {
	if dir := os.Getenv("NSPAWN_TEST_ROOT"); dir != "" {
		return dir, nil
	}
	return "", errors.New("NSPAWN_TEST_ROOT names none")
}

func removeBases() {}
