package testhost

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/prologin/rig/internal/testroot"
)

// recipe is counted up when [makeImage] changes.
const recipe = 4

// diskSize is what a host and the machines in it may fill. The image is sparse.
const diskSize = 16 << 30

// Build returns the directory of what hosts are made from, and makes it first if
// need be (some 25 s; a virtual host a minute or two): disk.img with a btrfs, and
// for a virtual host the kernel and its initial RAM disk.
func Build(ctx context.Context, cfg Config) (string, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return "", err
	}
	h := newHost(cfg)
	image, err := h.build(ctx)
	return image, h.wrap("build", err)
}

func (h *Host) build(ctx context.Context) (string, error) {
	name := fmt.Sprintf("%s-%d", h.cfg.root().Key(), recipe)
	started := time.Now()
	return testroot.Once(ctx, filepath.Join(dir(), "image"), name, func(ctx context.Context, path string) error {
		h.say("building the host's image: Debian %s, a minute or two, once", h.cfg.Suite)
		if err := os.Mkdir(path, 0o755); err != nil {
			return err
		}
		if err := makeImage(ctx, path, h.cfg); err != nil {
			return err
		}
		h.say("built in %.1f s", time.Since(started).Seconds())
		return nil
	})
}

// makeImage makes path/disk.img out of a root that goes away again.
func makeImage(ctx context.Context, path string, cfg Config) error {
	root, image := filepath.Join(path, "root"), filepath.Join(path, "disk.img")
	if err := testroot.Make(ctx, root, cfg.root()); err != nil {
		return err
	}
	if err := configure(root); err != nil {
		return err
	}
	if cfg.VM {
		if err := makeBootable(ctx, root, path); err != nil {
			return err
		}
	}
	f, err := os.Create(image)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(diskSize), f.Close()); err != nil {
		return err
	}
	if err := run(ctx, "btrfs-progs", "mkfs.btrfs", "-q", "--rootdir", root, image); err != nil {
		return err
	}
	return os.RemoveAll(root)
}

// Roots makes the testroot roots of all suites, one after the other (some 15 s
// each, once): tests in a host find them in the cache or are skipped, for they
// have no network there to make them. A suite whose packages cannot be reached is
// said and left out.
func Roots(ctx context.Context, cfg Config) error {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return err
	}
	h := newHost(cfg)
	for _, suite := range suites {
		started := time.Now()
		_, err := testroot.Build(ctx, testroot.Config{Suite: suite})
		switch took := time.Since(started); {
		case errors.Is(err, testroot.ErrUnreachable):
			h.say("tests that need Debian %s will be skipped: %v", suite, err)
		case err != nil:
			return err
		case took > time.Second:
			h.say("built a root of Debian %s for tests in %.1f s", suite, took.Seconds())
		}
	}
	return nil
}

// loopDevices is how many there are nodes for. Loop devices are the kernel's, so
// the free one that the host is given may have any number that the machine
// around it has come to.
const loopDevices = 64

// configure adds what makes a booted root a host for machines.
func configure(root string) error {
	var loops strings.Builder
	loops.WriteString("# The kernel makes nodes of new loop devices in its own devtmpfs, not in a container's.\n")
	for n := range loopDevices {
		fmt.Fprintf(&loops, "b /dev/loop%d 0660 root disk - 7:%d\n", n, n)
	}
	etc := filepath.Join(root, "etc")
	return errors.Join(
		os.WriteFile(filepath.Join(etc, "tmpfiles.d/rig-loop.conf"), []byte(loops.String()), 0o644),
		// Tests keep machines' roots in /tmp: it has to be on the disk, without nosuid.
		os.Symlink("/dev/null", filepath.Join(etc, "systemd/system/tmp.mount")),
		// The test that is about one of them starts it; for all others it would be in the way.
		unlessMissing(os.Remove(filepath.Join(etc, "systemd/system/multi-user.target.wants/firewalld.service"))),
		unlessMissing(os.Remove(filepath.Join(etc, "systemd/system/multi-user.target.wants/NetworkManager.service"))),
		unlessMissing(os.Remove(filepath.Join(etc, "systemd/system/multi-user.target.wants/wpa_supplicant.service"))),
	)
}

func unlessMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// run runs a program to its end. Its error carries what the program said, or
// the package to install.
func run(ctx context.Context, pkg, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("%s: %w: install %s", name, ErrMissing, pkg)
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	return nil
}
