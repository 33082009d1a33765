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
	root := copyOf(t, s.root(t)) // nspawn copies no mount point
	if _, err := s.host.Start(testContext(t), nspawn.Config{Name: s.name("endless"), Root: "/proc", Ephemeral: true}); !errors.Is(err, nspawn.ErrInvalid) ||
		!strings.Contains(err.Error(), "mount point") {
		t.Errorf("a mount point: %v", err)
	}
	for name, config := range map[string]nspawn.Config{
		"overlay":   {Volatile: nspawn.VolatileOverlay},
		"state":     {Volatile: nspawn.VolatileState},
		"ephemeral": {Ephemeral: true},
	} {
		config.Name, config.Root = s.name("forgets-"+name), root
		m := s.boot(t, config)
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
	root := copyOf(t, s.root(t))
	one := s.boot(t, nspawn.Config{Name: s.name("copy1"), Root: root, Ephemeral: true})
	two := s.boot(t, nspawn.Config{Name: s.name("copy2"), Root: root, Ephemeral: true})
	if err := one.Kill(testContext(t)); err != nil {
		t.Error(err)
	}
	if got := shell(t, two, "ls /etc/passwd; echo x >/etc/mine; cat /etc/mine"); got != "/etc/passwd\nx" {
		t.Errorf("after the end of the other: %s", got)
	}
	if err := two.Stop(testContext(t)); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(filepath.Dir(root)); err != nil || len(entries) != 1 {
		t.Errorf("beside the root: %v, %v", entries, err)
	}
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
