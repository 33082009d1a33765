package archtest

import (
	"context"
	"errors"
)

// TB is the part of [testing.TB] that [NewMirror] uses.
type TB interface {
	Helper()
	Context() context.Context
	Cleanup(func())
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
	Logf(format string, args ...any)
}

// NewMirror starts a mirror for a test and closes it when the test ends. It skips
// the test for want of privileges, which building, reading another user's cache and
// joining a network namespace take, or of the programs that build. Any other failure
// is the test's.
func NewMirror(t TB, o Options) *Mirror {
	t.Helper()
	m, err := Start(t.Context(), o)
	if errors.Is(err, ErrPrivilege) || errors.Is(err, ErrMissingProgram) {
		t.Skipf("no mirror: %v", err)
	}
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Errorf("%v", err)
		}
	})
	return m
}
