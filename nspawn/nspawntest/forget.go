package nspawntest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prologin/rig/nspawn"
)

// testForgetful wants nothing of what such machines have changed to be kept, be
// they killed.
func testForgetful(t *testing.T, s *suite) {
	root := tinyRoot(t, s.root(t)) // nspawn copies no mount point
	if _, err := s.host.Start(testContext(t), nspawn.Config{Name: s.name("endless"), Root: "/proc", Ephemeral: true}); !errors.Is(err, nspawn.ErrInvalid) ||
		!strings.Contains(err.Error(), "mount point") {
		t.Errorf("a mount point: %v", err)
	}
	for name, config := range map[string]nspawn.Config{
		"overlay":   {Volatile: nspawn.VolatileOverlay},
		"state":     {Volatile: nspawn.VolatileState},
		"ephemeral": {Ephemeral: true},
	} {
		config.Name, config.Root, config.Command = s.name("forgets-"+name), root, []string{"sleep", "infinity"}
		m := s.start(t, config)
		if got := shell(t, m, "echo x >/var/forgotten; echo x 2>/dev/null >/etc/forgotten; cat /var/forgotten"); got != "x" {
			t.Errorf("%s: %s", name, got)
		}
		if err := m.Kill(testContext(t)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, file := range []string{"var/forgotten", "etc/forgotten"} {
			if _, err := os.Lstat(filepath.Join(root, file)); err == nil {
				t.Errorf("%s: %s is in the root", name, file)
			}
		}
		entries, err := os.ReadDir(filepath.Dir(root))
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			if strings.HasPrefix(entry.Name(), ".#") {
				t.Errorf("%s: %s is left beside the root", name, entry.Name())
			}
		}
	}
}

// testSharedRoot has two machines on throw-away copies of one root: the end of one
// is none of the other's.
func testSharedRoot(t *testing.T, s *suite) {
	root := tinyRoot(t, s.root(t))
	one := s.start(t, nspawn.Config{Name: s.name("copy1"), Root: root, Ephemeral: true, Command: []string{"sleep", "infinity"}})
	two := s.start(t, nspawn.Config{Name: s.name("copy2"), Root: root, Ephemeral: true, Command: []string{"sleep", "infinity"}})
	if err := one.Kill(testContext(t)); err != nil {
		t.Error(err)
	}
	if got := shell(t, two, "ls /etc; echo x >/etc/mine; cat /etc/mine"); got != "os-release\nx" {
		t.Errorf("after the end of the other: %s", got)
	}
	if err := two.Stop(testContext(t)); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(filepath.Dir(root)); err != nil || len(entries) != 1 {
		t.Errorf("beside the root: %v, %v", entries, err)
	}
}

// tinyRoot takes as much of a root as a shell needs, which is quickly copied.
func tinyRoot(t *testing.T, root string) string {
	t.Helper()
	tiny := filepath.Join(t.TempDir(), "root")
	const take = `for d in etc var tmp proc sys dev run root; do mkdir -p $1/$d; done; cp /dev/null $1/etc/os-release
		for f in bin sbin lib lib64 usr/lib64 usr/bin/sh usr/bin/dash usr/bin/sleep usr/bin/ls usr/bin/cat \
			usr/lib/*-linux-gnu/ld-linux* usr/lib/*-linux-gnu/libc.so* usr/lib/*-linux-gnu/libselinux* usr/lib/*-linux-gnu/libpcre2* \
			usr/lib/*-linux-gnu/libcap* usr/lib/*-linux-gnu/libcrypto* usr/lib/*-linux-gnu/libz* usr/lib/*-linux-gnu/libm.so*; do
			if [ -e $f ]; then cp -a --parents $f $1; fi
		done`
	cmd := exec.Command("sh", "-ec", take, "sh", tiny)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("tiny root: %v: %s", err, out)
	}
	return tiny
}

// copyOf makes a plain directory of a root.
func copyOf(t *testing.T, root string) string {
	t.Helper()
	plain := filepath.Join(t.TempDir(), "root")
	if out, err := exec.Command("cp", "-a", "--reflink=auto", root, plain).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
	return plain
}
