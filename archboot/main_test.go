package archboot_test

import (
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/prologin/rig/internal/testns"
)

// roleVariable makes the test program do something else than to test.
const roleVariable = "ARCHBOOT_TEST_ROLE"

func TestMain(m *testing.M) {
	switch role := os.Getenv(roleVariable); role {
	case "":
		os.Exit(inOwnNamespace())
	case "test":
		os.Exit(m.Run())
	case "victim":
		os.Exit(beVictim())
	default:
		fmt.Fprintln(os.Stderr, "unknown role", role)
		os.Exit(2)
	}
}

// inOwnNamespace runs the tests in a mount namespace of their own, so that what they
// mount is nowhere else, and gone when they are.
func inOwnNamespace() int {
	attributes := new(syscall.SysProcAttr)
	if os.Geteuid() == 0 {
		attributes = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	}
	return testns.Again(attributes, roleVariable+"=test")
}
