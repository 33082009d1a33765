package testroot

import (
	"testing"
	"time"
)

// Debian returns the path of a bootable root of the given release, see the
// constants, and makes it first if this is the first test on this machine that
// asks (some 15 s). The tree is shared: boot it read-only or under an overlay, or use
// [Clone]. The test is skipped where no root can be had.
func Debian(t testing.TB, suite string) string {
	t.Helper()
	started := time.Now()
	root, err := Build(t.Context(), Config{Suite: suite})
	switch {
	case unavailable(err):
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
	if took := time.Since(started); took > time.Second {
		t.Logf("testroot: made or waited for Debian %s, %.1f s", suite, took.Seconds())
	}
	return root
}
