package nspawn_test

import (
	"strconv"
	"testing"

	"github.com/prologin/rig/internal/testhost"
	"github.com/prologin/rig/internal/testroot"
	"github.com/prologin/rig/nspawn"
	"github.com/prologin/rig/nspawn/nspawntest"
)

// TestConformance runs the suite with each launcher, and on each release of
// systemd with the one that any host has.
func TestConformance(t *testing.T) {
	t.Parallel()
	t.Run("direct", func(t *testing.T) {
		nspawntest.Run(t, openHost(t, nspawn.HostOptions{Launcher: nspawn.LauncherDirect}), newRoot)
	})
	t.Run("systemd", func(t *testing.T) {
		testhost.Require(t)
		nspawntest.Run(t, openHost(t, nspawn.HostOptions{Launcher: nspawn.LauncherSystemd}), newRoot)
	})
}

// TestReleases boots the oldest, a present and the newest systemd at hand.
func TestReleases(t *testing.T) {
	t.Parallel()
	for _, suite := range []string{testroot.Bookworm, testroot.Trixie, testroot.Sid} {
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
