package archboot

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prologin/rig/internal/intree"
)

// treeWith makes a tree of files; a value that begins with "->" is a symlink.
func treeWith(t *testing.T, files map[string]string) *intree.Tree {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		full := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if len(data) > 2 && data[:2] == "->" {
			err = os.Symlink(data[2:], full)
		} else {
			err = os.WriteFile(full, []byte(data), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	tree, err := intree.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tree.Close() })
	return tree
}

// symlinks lists those below a directory of the tree, with their targets.
func symlinks(t *testing.T, tree *intree.Tree, dir string) map[string]string {
	t.Helper()
	links := map[string]string{}
	top := filepath.Join(tree.Dir(), dir)
	err := filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type() == fs.ModeSymlink {
			target, _ := os.Readlink(name)
			links[name[len(top)+1:]] = target
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return links
}

func TestEnableUnits(t *testing.T) {
	t.Parallel()
	const lib = "usr/lib/systemd/system/"
	tree := treeWith(t, map[string]string{
		lib + "a.service":          "[Unit]\nWantedBy=nonsense.target\n[Install]\nWantedBy=multi-user.target \\\n  other.target\nAlso=b.socket a.service gone.service\nAlias=dbus-a.service\n",
		lib + "b.socket":           "[Install]\n# WantedBy=no.target\nWantedBy=gone.target\nWantedBy=\nRequiredBy=sockets.target\nUpheldBy=x.service\n",
		lib + "t@.service":         "[Install]\nWantedBy=%i.target\nDefaultInstance=tty1\nAlias=%p-%i.service\n",
		lib + "ssh.service":        "[Install]\nWantedBy=multi-user.target\n",
		lib + "sshd.service":       "->ssh.service",
		"etc/systemd/system/.keep": "",
	})
	if err := enableUnits(tree, []string{"a.service", "t@.service", "t@two.service", "sshd.service"}); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"dbus-a.service":                      "/usr/lib/systemd/system/a.service",
		"multi-user.target.wants/a.service":   "/usr/lib/systemd/system/a.service",
		"other.target.wants/a.service":        "/usr/lib/systemd/system/a.service",
		"sockets.target.requires/b.socket":    "/usr/lib/systemd/system/b.socket",
		"x.service.upholds/b.socket":          "/usr/lib/systemd/system/b.socket",
		"t-tty1.service":                      "/usr/lib/systemd/system/t@.service",
		"tty1.target.wants/t@tty1.service":    "/usr/lib/systemd/system/t@.service",
		"t-two.service":                       "/usr/lib/systemd/system/t@.service",
		"two.target.wants/t@two.service":      "/usr/lib/systemd/system/t@.service",
		"multi-user.target.wants/ssh.service": "/usr/lib/systemd/system/ssh.service",
	}
	if diff := cmp.Diff(want, symlinks(t, tree, "etc/systemd/system")); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
	if err := enableUnits(tree, []string{"a.service"}); err != nil {
		t.Errorf("enabling again: %v", err)
	}
}

func TestEnableUnitsRefuses(t *testing.T) {
	t.Parallel()
	tree := treeWith(t, map[string]string{
		"usr/lib/systemd/system/t@.service":    "[Install]\nWantedBy=a.target\n",
		"etc/systemd/system/masked.service":    "->/dev/null",
		"usr/lib/systemd/system/loop1.service": "->loop2.service",
		"usr/lib/systemd/system/loop2.service": "->loop1.service",
		"usr/lib/systemd/system/dotless":       "[Install]\nWantedBy=a.target\n",
		"usr/lib/systemd/system/alias.service": "->dotless",
		"usr/lib/systemd/system/also.service":  "[Install]\nAlso=x@y\n",
	})
	for unit, want := range map[string]error{
		"t@.service": ErrInvalid, "masked.service": ErrInvalid, "loop1.service": ErrInvalid, "nosuch.service": ErrNotFound,
		"alias.service": ErrInvalid, "also.service": ErrInvalid,
	} {
		if err := enableUnits(tree, []string{unit}); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", unit, err, want)
		}
	}
}

// FuzzParseInstall: whatever a unit file says, its links stay below
// /etc/systemd/system.
func FuzzParseInstall(f *testing.F) {
	f.Add("[Install]\nWantedBy=multi-user.target\n", "a.service")
	f.Add("[Install]\nAlias=../../../x %n/..\nRequiredBy=/etc/../..\n", "a@b.service")
	f.Add("[Install]\n=\n;a=b\n[Install", "a-b@.service")
	f.Fuzz(func(t *testing.T, data, unit string) {
		if !unitPattern.MatchString(unit) {
			return
		}
		for _, l := range parseInstall(data).links(unit) {
			if !filepath.IsLocal(l) && l != "" {
				t.Errorf("%q leads outside", l)
			}
		}
	})
}
