package archboot_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/prologin/rig/archboot"
	"golang.org/x/sys/unix"
)

// baseIn makes a base of the synthetic mirror in a directory, which is a subvolume
// where that is possible.
func baseIn(t *testing.T, dir string, c archboot.Config) string {
	t.Helper()
	base := filepath.Join(dir, "base")
	if exec.Command("btrfs", "subvolume", "create", base).Run() != nil {
		if err := os.Mkdir(base, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := archboot.Bootstrap(t.Context(), base, c); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{"etc/ssh/ssh_host_rsa_key": "secret", "var/lib/systemd/random-seed": "seed", "etc/hostname": "base\n"} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(base, name)), 0o755), os.WriteFile(filepath.Join(base, name), []byte(data), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return base
}

// TestClone makes machines of one base, by snapshot and by copy.
func TestClone(t *testing.T) {
	t.Parallel()
	needRoot(t)
	c := configFor(synthetic(t))
	for name, dir := range map[string]string{"copy": t.TempDir(), "btrfs": btrfsPool(t)} {
		t.Run(name, func(t *testing.T) {
			base := baseIn(t, dir, c)
			before, err := archboot.ReadManifest(t.Context(), base)
			if err != nil {
				t.Fatal(err)
			}
			root := filepath.Join(dir, "web")
			if err := os.Mkdir(root, 0o755); err != nil {
				t.Fatal(err)
			}
			id := archboot.Identity{Hostname: "web", MachineID: archboot.DeriveMachineID("lab", "web"), Password: strings.NewReader("s3cret")}
			if err := archboot.Clone(t.Context(), base, root, id); err != nil {
				t.Fatal(err)
			}
			assertIdentity(t, root)
			assertNoTrace(t, root, "s3cret")
			var st syscall.Stat_t
			if err := syscall.Stat(root, &st); err != nil || (name == "btrfs") != (st.Ino == 256) {
				t.Errorf("inode %d, %v: on btrfs, and only there, a clone is a subvolume", st.Ino, err)
			}
			after, err := archboot.ReadManifest(t.Context(), base)
			if lines := before.Diff(after, nil); err != nil || len(lines) > 0 {
				t.Errorf("the base has changed: %q, %v", lines, err)
			}
			got, err := archboot.ReadManifest(t.Context(), root)
			if err != nil {
				t.Fatal(err)
			}
			own := []string{"/etc/hostname", "/etc/machine-id", "/etc/shadow", "/etc/ssh/ssh_host_rsa_key", "/var/lib/systemd/random-seed"}
			if lines := before.Diff(got, own); len(lines) > 0 {
				t.Errorf("more than the identity differs: %q", lines)
			}
			assertAlone(t, dir, "base", "web")
		})
	}
}

func assertIdentity(t *testing.T, root string) {
	t.Helper()
	for name, want := range map[string]string{"etc/hostname": "web\n", "etc/machine-id": string(archboot.DeriveMachineID("lab", "web")) + "\n"} {
		if got, err := os.ReadFile(filepath.Join(root, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := os.Stat(filepath.Join(root, "etc/ssh/ssh_host_rsa_key")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the base's host key is in the clone: %v", err)
	}
	if seed, err := os.ReadFile(filepath.Join(root, "var/lib/systemd/random-seed")); err != nil || string(seed) == "seed" {
		t.Errorf("the base's random seed is in the clone: %v", err)
	}
}

// assertAlone wants a directory to hold just these.
func assertAlone(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(names, " ") {
		t.Errorf("%s holds %q, want %q", dir, got, names)
	}
}

func TestCloneRefuses(t *testing.T) {
	t.Parallel()
	needRoot(t)
	c := configFor(synthetic(t))
	for name, dir := range map[string]string{"copy": t.TempDir(), "btrfs": btrfsPool(t)} {
		t.Run(name, func(t *testing.T) {
			base := baseIn(t, dir, c)
			root, full, half := filepath.Join(dir, "root"), filepath.Join(dir, "full"), filepath.Join(dir, "half")
			inside := filepath.Join(base, "opt")
			if err := errors.Join(os.Mkdir(root, 0o755), os.MkdirAll(filepath.Join(full, "mine"), 0o755), os.Mkdir(half, 0o755), os.MkdirAll(inside, 0o755),
				os.WriteFile(filepath.Join(half, ".archboot-incomplete"), nil, 0o600)); err != nil {
				t.Fatal(err)
			}
			cancelled, cancel := context.WithCancel(t.Context())
			cancel()
			config := func(change func(*archboot.Config)) func() error {
				c := c
				c.Source.Base = base
				change(&c)
				return func() error { return archboot.Bootstrap(t.Context(), root, c) }
			}
			for name, test := range map[string]struct {
				do   func() error
				want error
			}{
				"no base":         {func() error { return archboot.Clone(t.Context(), "/nonexistent", root, archboot.Identity{}) }, fs.ErrNotExist},
				"base is a file":  {func() error { return archboot.Clone(t.Context(), "/etc/passwd", root, archboot.Identity{}) }, archboot.ErrBadRoot},
				"base is no root": {func() error { return archboot.Clone(t.Context(), full, root, archboot.Identity{}) }, archboot.ErrBadRoot},
				"half a base":     {func() error { return archboot.Clone(t.Context(), half, root, archboot.Identity{}) }, archboot.ErrIncomplete},
				"full root":       {func() error { return archboot.Clone(t.Context(), base, full, archboot.Identity{}) }, archboot.ErrNotEmpty},
				"root in base":    {func() error { return archboot.Clone(t.Context(), base, inside, archboot.Identity{}) }, archboot.ErrInvalid},
				"bad name":        {func() error { return archboot.Clone(t.Context(), base, root, archboot.Identity{Hostname: "-"}) }, archboot.ErrInvalid},
				"cancelled":       {func() error { return archboot.Clone(cancelled, base, root, archboot.Identity{}) }, context.Canceled},
				"lacking package": {config(func(c *archboot.Config) { c.Packages = []string{"base", "vim", "git"} }), archboot.ErrUnknownPackage},
				"other locale":    {config(func(c *archboot.Config) { c.Locale = "fr_FR.UTF-8" }), archboot.ErrInvalid},
				"unknown unit":    {config(func(c *archboot.Config) { c.Services = []string{"x.service"} }), archboot.ErrNotFound},
			} {
				if err := test.do(); !errors.Is(err, test.want) {
					t.Errorf("%s: got %v, want %v", name, err, test.want)
				}
				assertEmpty(t, root)
			}
			assertAlone(t, dir, "base", "full", "half", "root")
		})
	}
}

// TestCloneAfterKill: what a killed clone leaves is removed by the next one.
func TestCloneAfterKill(t *testing.T) {
	t.Parallel()
	needRoot(t)
	dir := btrfsPool(t)
	base := baseIn(t, dir, configFor(synthetic(t)))
	root := filepath.Join(dir, "web")
	clone := func() {
		t.Helper()
		if err := archboot.Clone(t.Context(), base, root, archboot.Identity{Hostname: "web", MachineID: archboot.DeriveMachineID("lab", "web")}); err != nil {
			t.Fatal(err)
		}
		assertIdentity(t, root)
		assertAlone(t, dir, "base", "web")
		if err := exec.Command("btrfs", "subvolume", "delete", root).Run(); err != nil {
			t.Fatal(err)
		}
	}
	// Killed before the snapshot took the root's place.
	err := errors.Join(os.Mkdir(root, 0o755), os.WriteFile(filepath.Join(root, ".archboot-incomplete"), nil, 0o600),
		exec.Command("btrfs", "subvolume", "snapshot", base, filepath.Join(dir, ".archboot-clone.web")).Run())
	if err != nil {
		t.Fatal(err)
	}
	clone()
	// Killed right after, and the root removed since.
	left := filepath.Join(dir, ".archboot-clone.web")
	err = errors.Join(os.Mkdir(root, 0o755), os.Mkdir(left, 0o755), os.WriteFile(filepath.Join(left, ".archboot-incomplete"), nil, 0o600))
	if err != nil {
		t.Fatal(err)
	}
	clone()
}

// btrfsPool mounts a new btrfs file system from a file, in the mount namespace of
// the tests, and unmounts it afterwards.
func btrfsPool(b testing.TB) string {
	b.Helper()
	if _, err := exec.LookPath("mkfs.btrfs"); err != nil {
		b.Skip("mkfs.btrfs is missing (package btrfs-progs)")
	}
	dir := b.TempDir()
	image, pool := filepath.Join(dir, "image"), filepath.Join(dir, "pool")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		b.Fatal(err)
	}
	if err := os.Truncate(image, 8<<30); err != nil {
		b.Fatal(err)
	}
	if err := os.Mkdir(pool, 0o755); err != nil {
		b.Fatal(err)
	}
	if out, err := exec.Command("mkfs.btrfs", "-q", image).CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command("mount", "-o", "loop", image, pool).CombinedOutput()
	if err != nil {
		b.Skipf("no loop devices with btrfs here: %s", strings.TrimSpace(string(out)))
	}
	b.Cleanup(func() {
		if err := unix.Unmount(pool, 0); err != nil {
			b.Error(err)
		}
	})
	return pool
}
