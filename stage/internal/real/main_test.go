// Package real tests stage with real machines, networks and snapshots. It has nothing but
// tests, so that stage itself depends on none of the packages that make them.
package real

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/prologin/rig/internal/testns"
	"github.com/prologin/rig/internal/testroot"
)

// What the process outside of the sandbox tells the one inside, by environment.
const (
	debianRoot = "STAGE_TEST_ROOT"
	noRoot     = "STAGE_TEST_NO_ROOT"
)

// TestMain runs the tests in network and mount namespaces of their own. The root, which
// may have to be fetched, is made before.
func TestMain(m *testing.M) {
	switch {
	case os.Geteuid() != 0:
		os.Setenv(noRoot, "starting machines needs root")
		os.Exit(m.Run())
	case insideSandbox():
		if err := furnish(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(m.Run())
	}
	os.Exit(enterSandbox())
}

// insideSandbox looks twice: a variable that somebody had set must not have the tests
// touch the host.
func insideSandbox() bool {
	if os.Getenv(debianRoot) == "" && os.Getenv(noRoot) == "" {
		return false
	}
	links, err := netlink.LinkList()
	return err == nil && len(links) == 1
}

func enterSandbox() int {
	root, err := testroot.Build(context.Background(), testroot.Config{Suite: testroot.Trixie})
	env := debianRoot + "=" + root
	if err != nil {
		env = noRoot + "=" + err.Error()
	}
	return testns.Again(&syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Unshareflags: unix.CLONE_NEWNS}, env)
}

// furnish brings loopback up.
func furnish() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(lo)
}
