package archboot_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prologin/rig/archboot"
	"github.com/prologin/rig/archboot/archtest"
)

// password is root's in the roots that are booted.
const password = "p4ssw0rd-of-the-test"

// TestBootstrapSuite makes real roots from every source: real pacman on both sides,
// real signatures, real install scripts and hooks. Each boots.
func TestBootstrapSuite(t *testing.T) {
	suites := []archtest.Suite{archtest.Trixie}
	if os.Getenv("RIG_SUITES") == "all" { // each other suite needs a mirror of its own
		suites = append(suites, archtest.Bookworm, archtest.Sid)
	}
	for _, suite := range suites {
		t.Run(string(suite), func(t *testing.T) {
			needRoot(t)
			m := debianMirror(t, suite)
			cache := t.TempDir()
			base := t.TempDir()
			for _, source := range []archboot.Source{
				{Method: archboot.MethodPacman},
				{Method: archboot.MethodTarball, Tarball: m.BootstrapURL(), Fingerprints: []string{m.Fingerprint()}},
				{Method: archboot.MethodClone, Base: base},
			} {
				t.Run(string(source.Method), func(t *testing.T) {
					c := bootstrapConfig(m)
					c.MachineRepositories = machineRepositories(m)
					c.CacheDir = cache
					if source.Base != "" {
						if err := archboot.Bootstrap(t.Context(), base, c); err != nil {
							t.Fatal(err)
						}
					}
					c.Source = source
					testSuite(t, m, c)
				})
			}
		})
	}
}

// testSuite makes a root and looks at it from outside, from inside, and booted.
func testSuite(t *testing.T, m *archtest.Mirror, c archboot.Config) {
	c.Password = strings.NewReader(password + "\n")
	c.Progress = func(e archboot.Event) {
		if e.Kind == archboot.EventWarning {
			t.Logf("warning: %s", e.Text)
		}
	}
	root := t.TempDir()
	if err := archboot.Bootstrap(t.Context(), root, c); err != nil {
		t.Fatal(err)
	}
	assertNoTrace(t, root, password)
	assertRuns(t, root)
	assertBoots(t, root, m, password)
}

// debianMirror starts a mirror of a suite with the add-ons that all tests of this
// module ask for, so that they share one build. It passes on what a real mirror of
// Arch has where the environment names one, see "make test-arch".
func debianMirror(t archtest.TB, suite archtest.Suite) *archtest.Mirror {
	t.Helper()
	if url := os.Getenv("RIG_ARCH_MIRROR"); url != "" {
		return archtest.NewMirror(t, archtest.Options{Upstream: &archtest.Upstream{
			URL: url, KeyFile: os.Getenv("RIG_ARCH_KEYS"), Fingerprint: os.Getenv("RIG_ARCH_FINGERPRINT"),
		}})
	}
	return archtest.NewMirror(t, archtest.Options{
		Suite: suite, AddOns: []string{"bind", "nginx"}, CacheDir: os.Getenv("RIG_CACHE"),
	})
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

// machineRepositories are the mirror as seen from a machine that has it on its own
// loopback.
func machineRepositories(m *archtest.Mirror) []archboot.Repository {
	var list []archboot.Repository
	for _, name := range m.Repositories() {
		list = append(list, archboot.Repository{Name: name, Servers: []string{"http://127.0.0.1:8080/$repo/os/$arch"}, SigLevel: m.SigLevel()})
	}
	return list
}

// assertBoots boots the root, logs in with the password, and uses its pacman
// against the mirror with signatures required.
func assertBoots(t *testing.T, root string, m *archtest.Mirror, password string) {
	t.Helper()
	c := boot(t, root)
	c.login(password)
	netns := fmt.Sprintf("/proc/%d/ns/net", c.cmd.Process.Pid)
	if _, err := m.Listen(t.Context(), "127.0.0.1:8080", netns); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ command, want string }{
		{"hostname", "gw"},
		{"systemctl is-system-running --wait", "running"},
		{"systemctl --failed --no-legend", ""},
		{"systemctl is-active sshd systemd-networkd | sort -u", "active"},
		{"tr -d 0-9a-f </etc/machine-id | wc -c", "1"},
		{"systemctl show -P ConditionResult ldconfig.service systemd-journal-catalog-update.service | grep -v '^$' | sort -u", "no"},
		{"pacman -Syu --noconfirm >/tmp/log 2>&1 || cat /tmp/log", ""},
		{"pacman -S --noconfirm dash >/tmp/log 2>&1 || cat /tmp/log; command -v dash", "/usr/bin/dash"},
		// As Arch has it, with pacman 7: older ones do not know the option, and newer ones
		// insist on a kernel with Landlock.
		{"sed 's/^CheckSpace/&\\nDownloadUser = alpm/' /etc/pacman.conf >/tmp/alpm.conf; pacman --config /tmp/alpm.conf --noconfirm -Sw vim >/tmp/log 2>&1 || grep -q Landlock /tmp/log || cat /tmp/log", ""},
		{"pacman -Qkk 2>&1 | grep -v '^backup file:' | grep -v ' 0 altered files' | cat", ""},
		{"pacman -Fy >/tmp/log 2>&1 || cat /tmp/log; pacman -Fq /usr/bin/dash | cut -d/ -f2", "dash"},
	} {
		if got := c.run(test.command); got != test.want {
			t.Errorf("%s: %q, want %q", test.command, got, test.want)
		}
	}
	c.poweroff()
}
