package nspawn_test

import (
	"os"
	"strconv"
	"testing"

	"github.com/prologin/rig/internal/testhost"
	"github.com/prologin/rig/internal/testroot"
	"github.com/prologin/rig/nspawn"
	"github.com/prologin/rig/nspawn/nspawntest"
)

// TestConformance runs the suite with each launcher: on one release of systemd,
// or on all of them with RIG_SUITES=all.
func TestConformance(t *testing.T) {
	t.Parallel()
	for _, launcher := range []nspawn.Launcher{nspawn.LauncherDirect, nspawn.LauncherSystemd} {
		t.Run(string(launcher), func(t *testing.T) {
			if launcher == nspawn.LauncherSystemd {
				testhost.Require(t)
			}
			if os.Getenv("RIG_SUITES") != "all" {
				conform(t, launcher, testroot.Trixie)
				return
			}
			for _, release := range releases {
				t.Run(release, func(t *testing.T) { conform(t, launcher, release) })
			}
		})
	}
}

func conform(t *testing.T, launcher nspawn.Launcher, release string) {
	host := openHost(t, nspawn.HostOptions{Launcher: launcher})
	nspawntest.Run(t, host, func(t testing.TB) string { return newRootOf(t, release) })
}

// releases have the oldest, a present and the newest systemd at hand.
var releases = []string{testroot.Bookworm, testroot.Trixie, testroot.Sid}

// TestReleases boots each of them.
func TestReleases(t *testing.T) {
	t.Parallel()
	for _, suite := range releases {
		t.Run(suite, func(t *testing.T) {
			host := openHost(t, nspawn.HostOptions{})
			m := boot(t, host, nspawn.Config{Name: suite, Root: newRootOf(t, suite)})
			if got := shell(t, m, "systemctl is-system-running --wait; stat -f -c %T /sys/fs/cgroup"); got != "running\ncgroup2fs" {
				t.Errorf("%s\n%s", got, shell(t, m, "systemctl --failed"))
			}
		})
	}
}

func itoa(n int) string { return strconv.Itoa(n) }
