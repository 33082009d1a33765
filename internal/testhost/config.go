package testhost

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/prologin/rig/internal/testroot"
)

// Config chooses a host. The zero value is the trixie host of the module that
// the working directory lies in.
type Config struct {
	// Suite is the Debian release of the host, see testroot; trixie if empty.
	// With it comes the systemd that machines are started by.
	Suite string
	// VM asks for a virtual machine with a kernel of its own instead of a
	// container, see the package's documentation.
	VM bool
	// Module is the directory that is visible in the host under the same path,
	// writable, so that testdata is found. If empty: the directory of the go.mod
	// that governs the working directory, or that directory itself. Each module
	// has hosts of its own, so that two checkouts do not meet.
	Module string
	// Output takes one line for each thing that takes time, and what mmdebstrap
	// says while it builds. nil for none.
	Output io.Writer
}

// suites are those that a host or a root can be of.
var suites = []string{testroot.Bookworm, testroot.Trixie, testroot.Sid}

// packages is what the host has beyond a minimal root: what machines need on a
// full host, what archboot needs, and what tests look at the real thing with.
var packages = []string{
	"systemd-container", "udev", "libpam-systemd", "iptables", "nftables", "btrfs-progs", "e2fsprogs",
	"pacman-package-manager", "makepkg", "arch-install-scripts", "libarchive-tools", "gnupg", "zstd",
	"bind9-dnsutils", "curl", "iputils-ping", "procps", "tcpdump", "firewalld",
}

// vmPackages is what a virtual host has beyond these: its kernel, and what a host
// that is somebody's computer runs.
var vmPackages = []string{
	"linux-image-amd64", "initramfs-tools", "kmod", "network-manager", "systemd-resolved", "wpasupplicant", "iw",
	"mmdebstrap", "tmux",
}

func (c Config) root() testroot.Config {
	root := testroot.Config{Suite: c.Suite, Packages: packages, Output: c.Output}
	if c.VM {
		root.Packages = slices.Concat(packages, vmPackages)
	}
	return root
}

// withDefaults fills in what is empty.
func (c Config) withDefaults() (Config, error) {
	c.Suite = cmp.Or(c.Suite, testroot.Trixie)
	if !slices.Contains(suites, c.Suite) {
		return c, fmt.Errorf("testhost: no suite %q, there are %s", c.Suite, strings.Join(suites, ", "))
	}
	if c.Output == nil {
		c.Output = io.Discard
	}
	if c.Module != "" {
		module, err := filepath.Abs(c.Module)
		c.Module = module
		return c, err
	}
	dir, err := workingDir()
	if err != nil {
		return c, err
	}
	c.Module = dir
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "go.mod")); err == nil {
			c.Module = d
			return c, nil
		}
		if d == filepath.Dir(d) {
			return c, nil
		}
	}
}

// workingDir is the working directory without symlinks, for those on the way may
// not exist in the host.
func workingDir() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(dir)
}

// name is the host's machine name: at most 64 characters, hostname(7).
func (c Config) name() string {
	sum := sha256.Sum256([]byte(c.Module))
	kind := "testhost"
	if c.VM {
		kind = "testvm"
	}
	return fmt.Sprintf("rig-%s-%s-%x", kind, c.Suite, sum[:3])
}

// dir is where all hosts and their images are kept.
func dir() string { return filepath.Join(testroot.CacheDir(), "testhost") }
