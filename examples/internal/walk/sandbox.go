package walk

import (
	"context"
	"fmt"
	"os"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/prologin/rig/archboot/archtest"
	"github.com/prologin/rig/examples/internal/prolo"
	"github.com/prologin/rig/internal/testns"
)

// What the process outside of the sandbox tells the one inside, by environment.
const (
	mirrorCache = "RIG_WALK_CACHE"
	noMirror    = "RIG_WALK_NO_MIRROR"
)

// insideSandbox reports whether this is the process inside. The variable alone
// would let a test touch the host if somebody had it set.
func insideSandbox() bool {
	if os.Getenv(mirrorCache) == "" {
		return false
	}
	links, err := netlink.LinkList()
	return err == nil && len(links) == 1
}

// enterSandbox builds the mirror, which needs the host's network, and runs the
// tests in network and mount namespaces of their own. It returns the exit status.
func enterSandbox() int {
	cache := os.Getenv("RIG_CACHE")
	if cache == "" {
		cache = "/var/cache/rig"
	}
	env := []string{mirrorCache + "=" + cache}
	if err := buildMirror(cache); err != nil {
		env = append(env, noMirror+"="+err.Error())
	}
	return testns.Again(&syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Unshareflags: unix.CLONE_NEWNS}, env...)
}

func buildMirror(cache string) error {
	mirror, err := archtest.Start(context.Background(), archtest.Options{CacheDir: cache, AddOns: prolo.AddOns()})
	if err != nil {
		return err
	}
	return mirror.Close()
}

// furnishSandbox brings loopback up and hides what the host keeps where a lab would.
func furnishSandbox() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return err
	}
	for _, dir := range []string{"/var/lib/machines", "/run/rig"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0755"); err != nil {
			return fmt.Errorf("hide %s: %w", dir, err)
		}
	}
	return nil
}
