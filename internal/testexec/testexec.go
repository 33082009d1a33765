// Package testexec writes programs for tests that start them.
package testexec

import (
	"os"
	"syscall"
	"testing"
)

// Write writes a program that can be started at once: no child that another test starts
// meanwhile has it open for writing, which would be ETXTBSY, go.dev/issue/22315.
func Write(t testing.TB, name string, text []byte) {
	t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(name, text, 0o755); err != nil {
		t.Fatal(err)
	}
}
