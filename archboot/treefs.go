package archboot

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/prologin/rig/internal/intree"
	"golang.org/x/sys/unix"
)

// layout is what has to be there before the first package: pacman's own
// directories, and those where systemd-tmpfiles would make btrfs subvolumes,
// which a snapshot leaves out.
var layout = []struct {
	dir  string
	mode uint32
}{
	{"/dev", 0o755}, {"/run", 0o755}, {"/proc", 0o555}, {"/sys", 0o555}, {"/tmp", 0o1777},
	{"/etc/pacman.d", 0o755}, {"/var/cache/pacman/pkg", 0o755}, {"/var/lib/pacman", 0o755}, {"/var/log", 0o755},
	{"/var/lib/machines", 0o700}, {"/var/lib/portables", 0o700},
}

func makeLayout(t *intree.Tree) error {
	for _, l := range layout {
		if err := t.MkdirAll(l.dir, 0o755); err != nil {
			return err
		}
		dir, _, err := t.Parent(l.dir + "/x")
		if err != nil {
			return err
		}
		err = unix.Chmod(procPath(dir), l.mode)
		dir.Close()
		if err != nil {
			return fmt.Errorf("chmod %s: %w", l.dir, err)
		}
	}
	return nil
}

// writeFile replaces a file as [intree.Tree.WriteFile] does, but without waiting for
// the disk: a root is written as a whole, and each wait would be one for all that
// the packages brought.
func writeFile(t *intree.Tree, name string, data []byte, perm os.FileMode) error {
	dir, base, err := t.Parent(name)
	if err != nil {
		return err
	}
	defer dir.Close()
	at := int(dir.Fd())
	temp := ".#" + rand.Text()
	fd, err := unix.Openat(at, temp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return &fs.PathError{Op: "write", Path: name, Err: err}
	}
	f := os.NewFile(uintptr(fd), name)
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(perm), f.Close())
	if err == nil {
		err = unix.Renameat(at, temp, at, base)
	}
	if err != nil {
		return errors.Join(&fs.PathError{Op: "write", Path: name, Err: err}, unix.Unlinkat(at, temp, 0))
	}
	return nil
}

// stampUpdated tells systemd that /etc and /var are as new as /usr, so that the
// units with ConditionNeedsUpdate= (the linker cache, the catalogue, the hardware
// database, system users) do not run at the first boot of every clone: pacman's
// hooks have done their work. The form is that of systemd-update-done.service(8).
func stampUpdated(t *intree.Tree) error {
	usr, err := t.Stat("/usr")
	if err != nil {
		return err
	}
	when := usr.ModTime()
	content := fmt.Sprintf("# The /usr that this directory was last brought up to date with.\nTIMESTAMP_NSEC=%d\n", when.UnixNano())
	for _, name := range []string{"/etc/.updated", "/var/.updated"} {
		if err := writeFile(t, name, []byte(content), 0o644); err != nil {
			return err
		}
		f, err := t.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		err = setTime(f, when)
		f.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func setTime(f *os.File, when time.Time) error {
	return os.Chtimes(procPath(f), when, when)
}
