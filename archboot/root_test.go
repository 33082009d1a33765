package archboot

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestUnlockWhileForking takes and gives up the lock on a root while other
// goroutines start programs, which inherit every descriptor for a moment.
func TestUnlockWhileForking(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stop := make(chan struct{})
	for range 4 {
		go func() {
			for {
				select {
				case <-stop:
					return
				default:
					_ = exec.Command("true").Run()
				}
			}
		}()
	}
	defer close(stop)
	for i := range 2000 {
		c, err := lockRoot(dir)
		if err != nil {
			t.Fatalf("attempt %d: %v", i, err)
		}
		if err := unlock(c.dir); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLockExchanged: between opening a directory and locking it, another's clone took
// its place. That one must not be emptied for the remains of something.
func TestLockExchanged(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	dir, err := os.Open(root)
	if err == nil {
		err = errors.Join(os.Remove(root), os.MkdirAll(filepath.Join(root, "etc"), 0o755))
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockOpened(root, dir); !errors.Is(err, ErrBusy) {
		t.Errorf("got %v, want %v", err, ErrBusy)
	}
}

// TestClaimSweeps: what a killed process left is no reason to refuse a directory, and a
// link that somebody put where a clone is made is not followed.
func TestClaimSweeps(t *testing.T) {
	t.Parallel()
	parent, precious := t.TempDir(), filepath.Join(t.TempDir(), "precious")
	root, beside := filepath.Join(parent, "root"), filepath.Join(parent, ".archboot-clone.root")
	err := errors.Join(os.Mkdir(root, 0o755), os.Symlink("probe", filepath.Join(root, probeName)),
		os.WriteFile(precious, []byte("kept"), 0o644), os.Symlink(filepath.Dir(precious), beside))
	if err != nil {
		t.Fatal(err)
	}
	c, err := claimRoot(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.abandon(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(precious); err != nil {
		t.Errorf("behind the link: %v", err)
	}
	if _, err := os.Lstat(beside); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the link is still there: %v", err)
	}
}
