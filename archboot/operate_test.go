package archboot_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prologin/rig/archboot"
	"github.com/prologin/rig/archboot/archtest"
	"github.com/prologin/rig/archboot/archtest/alpm"
)

// TestInstallStaysInTheRoot plants symlinks in a root that lead the host's pacman out of it,
// where it finds all read-only.
func TestInstallStaysInTheRoot(t *testing.T) {
	t.Parallel()
	needRoot(t)
	m := archtest.NewMirror(t, archtest.Options{Suite: archtest.Synthetic, Packages: []alpm.Package{
		{Name: "base", Version: "1-1", Files: []alpm.File{
			{Path: "usr/lib/systemd/system/sshd.service", Data: []byte("[Install]\nWantedBy=multi-user.target\n"), Mode: 0o644},
		}},
		{Name: "tool", Version: "1-1", Files: []alpm.File{{Path: "opt/tool/bin", Data: []byte("theirs"), Mode: 0o755}}},
	}})
	c := configFor(m)
	for _, planted := range []string{"opt", "var/lib/pacman/sync", "var/log"} {
		t.Run(strings.ReplaceAll(planted, "/", "-"), func(t *testing.T) {
			t.Parallel()
			root, host := t.TempDir(), t.TempDir()
			if err := archboot.Bootstrap(t.Context(), root, c); err != nil {
				t.Fatal(err)
			}
			link := filepath.Join(root, planted)
			if err := os.RemoveAll(link); err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(host, link); err != nil {
				t.Fatal(err)
			}
			err := archboot.Install(t.Context(), root, c, "tool")
			if (err == nil) != (planted == "var/log") { // a log is not what pacman fails for
				t.Errorf("got %v", err)
			}
			assertEmpty(t, host)
			if err := os.Remove(link); err != nil {
				t.Fatal(err)
			}
			if err := archboot.Install(t.Context(), root, c, "tool"); err != nil {
				t.Errorf("without the link: %v", err)
			}
		})
	}
}
