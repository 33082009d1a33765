package nspawn_test

import (
	"testing"

	"github.com/prologin/rig/internal/testroot"
)

// newRoot returns a writable root that boots, and goes with the test.
func newRoot(t testing.TB) string {
	t.Helper()
	return newRootOf(t, testroot.Trixie)
}

// newRootOf is newRoot with another release of systemd.
func newRootOf(t testing.TB, suite string) string {
	t.Helper()
	privileged(t)
	return testroot.Clone(t, suite)
}
