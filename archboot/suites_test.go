package archboot_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prologin/rig/archboot"
	"github.com/prologin/rig/archboot/archtest"
)

// TestBootstrapSuite makes real roots: real pacman on both sides, real
// signatures, real install scripts and hooks.
func TestBootstrapSuite(t *testing.T) {
	for _, suite := range []archtest.Suite{archtest.Bookworm, archtest.Trixie, archtest.Sid} {
		t.Run(string(suite), func(t *testing.T) {
			needRoot(t)
			if testing.Short() && suite != archtest.Trixie {
				t.Skip("-short: one suite is enough")
			}
			m := archtest.NewMirror(t, archtest.Options{Suite: suite})
			c := configFor(m)
			c.Packages = []string{"base", "openssh"}
			c.Services = nil
			c.Hostname, c.Locale, c.TimeZone = "gw", "en_US.UTF-8", "Europe/Paris"
			c.Password = strings.NewReader("p4ssw0rd-of-the-test\n")
			c.Progress = func(e archboot.Event) {
				if e.Kind == archboot.EventWarning {
					t.Logf("warning: %s", e.Text)
				}
			}
			root := t.TempDir()
			if err := archboot.Bootstrap(t.Context(), root, c); err != nil {
				t.Fatal(err)
			}
			assertNoTrace(t, root, "p4ssw0rd-of-the-test")
			assertRuns(t, root)
		})
	}
}

// assertRuns looks at the root with its own programs.
func assertRuns(t *testing.T, root string) {
	t.Helper()
	for command, want := range map[string]string{
		"pacman -Qkk 2>&1 | grep -v backup | grep ' altered file' | grep -v ' 0 altered' | cat": "",
		"pacman-key --list-keys 2>/dev/null | grep -c ultimate":                                 "1",
		"LANG=en_US.UTF-8 locale charmap":                                                       "UTF-8",
		"date +%Z":                                                                              "CET",
		"systemctl is-enabled sshd systemd-networkd systemd-timesyncd 2>/dev/null | sort -u":    "enabled",
	} {
		out, err := exec.CommandContext(t.Context(), "chroot", root, "/bin/sh", "-c", command).CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil && want != "" || got != want {
			t.Errorf("%s: %q, %v; want %q", command, got, err, want)
		}
	}
	if sockets, _ := filepath.Glob(filepath.Join(root, "etc/pacman.d/gnupg/S.*")); len(sockets) > 0 {
		t.Errorf("sockets of an agent: %v", sockets)
	}
	if _, err := os.Stat(filepath.Join(root, "etc/pacman.d/gnupg/trustdb.gpg")); err != nil {
		t.Errorf("no keyring in the root: %v", err)
	}
}
