package archboot

import (
	"fmt"
	"os"

	"github.com/prologin/rig/internal/intree"
	"golang.org/x/sys/unix"
)

// furnish mounts what programs expect to find in the root, on the thread.
func (c *chamber) furnish() error {
	// Nothing that the thread mounts spreads to the namespace that it came from.
	if err := changeMounts(&unix.MountAttr{Propagation: unix.MS_SLAVE}); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if c.hostname != "" {
		if err := unix.Sethostname([]byte(c.hostname)); err != nil {
			return fmt.Errorf("set host name: %w", err)
		}
	}
	if err := c.confine(); err != nil {
		return err
	}
	return c.mountKernel()
}

// mountKernel mounts the file systems that every program expects.
func (c *chamber) mountKernel() error {
	t, err := openTree(c.root)
	if err != nil {
		return err
	}
	defer t.Close()
	const hard = unix.MS_NOSUID | unix.MS_NODEV
	for _, m := range []struct {
		dir, kind string
		perm      os.FileMode
		flags     uintptr
		data      string
	}{
		{"/sys", "sysfs", 0o555, hard | unix.MS_NOEXEC | unix.MS_RDONLY, ""},
		{"/dev", "tmpfs", 0o755, unix.MS_NOSUID, "mode=0755,size=1m"},
		{"/dev/pts", "devpts", 0o755, unix.MS_NOSUID | unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"},
		{"/dev/shm", "tmpfs", 0o755, hard, "mode=1777"},
		{"/run", "tmpfs", 0o755, hard, "mode=0755"},
		{"/tmp", "tmpfs", 0o755, hard, "mode=1777"},
	} {
		if err := mountIn(t, m.dir, m.kind, m.kind, m.perm, m.flags, m.data); err != nil {
			return err
		}
	}
	return devices(t)
}

// mountIn mounts on a directory of the tree, as the tree resolves its name.
func mountIn(t *intree.Tree, dir, source, kind string, perm os.FileMode, flags uintptr, data string) error {
	if err := t.MkdirAll(dir, perm); err != nil {
		return err
	}
	target, _, err := t.Parent(dir + "/x")
	if err != nil {
		return err
	}
	defer target.Close()
	if err := unix.Mount(source, procPath(target), kind, flags, data); err != nil {
		return fmt.Errorf("mount %s on %s: %w", kind, dir, err)
	}
	return nil
}

// devices fills /dev. The nodes are the host's own, bound: mknod(2) is not
// allowed in every container.
func devices(t *intree.Tree) error {
	dev, _, err := t.Parent("/dev/x")
	if err != nil {
		return err
	}
	defer dev.Close()
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		node := procPath(dev) + "/" + name
		fd, err := unix.Open(node, unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o644)
		if err != nil {
			return fmt.Errorf("make /dev/%s: %w", name, err)
		}
		unix.Close(fd)
		if err := unix.Mount("/dev/"+name, node, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("bind /dev/%s: %w", name, err)
		}
	}
	for name, target := range map[string]string{
		"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1",
		"stderr": "/proc/self/fd/2", "ptmx": "pts/ptmx",
	} {
		if err := t.Symlink(target, "/dev/"+name); err != nil {
			return err
		}
	}
	return nil
}
