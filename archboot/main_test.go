package archboot_test

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
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
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), roleVariable+"=test")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if os.Geteuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	}
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return max(cmd.ProcessState.ExitCode(), 1)
	}
	return 0
}
