package testhost

import (
	"os"
	"testing"
)

// insideVar is set to the suite for everything that runs in a host.
const insideVar = "RIG_TESTHOST"

// Inside returns the suite of the host that this process runs in, or "".
func Inside() string { return os.Getenv(insideVar) }

// Require skips a test that does not run in a host, and says how to run it.
func Require(t testing.TB) {
	t.Helper()
	if Inside() == "" {
		t.Skip("needs systemd as PID 1: go test -exec 'go run github.com/prologin/rig/internal/testhost/cmd/testhost exec'")
	}
}
