package testroot_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prologin/rig/internal/testroot"
)

func TestDebian(t *testing.T) {
	root := testroot.Debian(t, testroot.Trixie)
	for _, name := range []string{"usr/lib/systemd/systemd", "usr/bin/dbus-daemon", "usr/sbin/ip", "etc/systemd/system/multi-user.target.wants/systemd-networkd.service"} {
		if _, err := os.Lstat(filepath.Join(root, name)); err != nil {
			t.Error(err)
		}
	}
	if id, err := os.ReadFile(filepath.Join(root, "etc/machine-id")); err != nil || len(id) != 0 {
		t.Errorf("machine ID %q, %v, want an empty file", id, err)
	}
	if _, err := os.Stat(filepath.Join(root, "etc/hostname")); err == nil {
		t.Error("the building machine's host name is in it")
	}
	if again := testroot.Debian(t, testroot.Trixie); again != root {
		t.Errorf("asked twice, got %s and %s", root, again)
	}
}

func TestClone(t *testing.T) {
	var dir, shared string
	t.Run("life", func(t *testing.T) {
		shared = testroot.Debian(t, testroot.Trixie)
		dir = testroot.Clone(t, testroot.Trixie)
		other := testroot.Clone(t, testroot.Trixie)
		if err := os.WriteFile(filepath.Join(dir, "etc/mark"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		for _, root := range []string{shared, other} {
			if _, err := os.Stat(filepath.Join(root, "etc/mark")); err == nil {
				t.Errorf("a file written to the clone is in %s", root)
			}
		}
	})
	if dir == "" {
		t.Skip("no clone was made, see above")
	}
	if _, err := os.Stat(filepath.Dir(dir)); err == nil {
		t.Errorf("%s is left", filepath.Dir(dir))
	}
	if mounts, err := os.ReadFile("/proc/self/mountinfo"); err != nil || strings.Contains(string(mounts), dir) {
		t.Errorf("%s is still mounted, %v", dir, err)
	}
}
