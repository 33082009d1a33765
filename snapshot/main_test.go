package snapshot

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/prologin/rig/internal/testns"
)

// roleVariable makes the test program do something else than to test.
const roleVariable = "SNAPSHOT_TEST_ROLE"

func TestMain(m *testing.M) {
	switch role := os.Getenv(roleVariable); role {
	case "":
		os.Exit(inOwnNamespace())
	case "test":
		os.Exit(m.Run())
	case "chroot":
		if err := unix.Chroot(os.Getenv("SNAPSHOT_TEST_DIR")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		_, _ = io.Copy(os.Stdout, os.Stdin)
	case "unprivileged":
		if err := lackPrivilege(os.Getenv("SNAPSHOT_TEST_DIR")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "pool":
		makePoolAndDie(os.Getenv("SNAPSHOT_TEST_DIR"), os.Getenv("SNAPSHOT_TEST_POINT"))
	case "operate":
		err := operateAndDie(os.Getenv("SNAPSHOT_TEST_DIR"), os.Getenv("SNAPSHOT_TEST_OP"), os.Getenv("SNAPSHOT_TEST_POINT"))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	default:
		fmt.Fprintln(os.Stderr, "unknown role", role)
		os.Exit(2)
	}
}

// inOwnNamespace runs the tests in a mount namespace of their own: there no other
// process of this host can copy the tests' mounts into its own namespace, where they
// would stay, and nothing of a test that is killed is left.
func inOwnNamespace() int {
	attributes := new(syscall.SysProcAttr)
	if os.Geteuid() == 0 {
		attributes = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	}
	return testns.Again(attributes, roleVariable+"=test")
}

// makePoolAndDie kills the process right after the named step, or after all.
func makePoolAndDie(dir, point string) {
	ctx := withProbe(context.Background(), func(name string, before bool) error {
		if name == point && !before {
			die()
		}
		return nil
	})
	_, err := CreatePool(ctx, filepath.Join(dir, "pool"), MinPoolSize, filepath.Join(dir, "mnt"))
	if err == nil {
		die()
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// die is kill -9: nothing is run or written any more.
func die() {
	_ = unix.Kill(os.Getpid(), unix.SIGKILL)
	select {}
}
