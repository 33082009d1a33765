package archboot

import (
	"fmt"
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

// openTree opens a tree for writing without waiting for the disk: a root is written as
// a whole, and each wait would be one for all that the packages brought.
func openTree(dir string) (*intree.Tree, error) {
	t, err := intree.Open(dir)
	if err == nil {
		t.NoSync = true
	}
	return t, err
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
		if err := t.WriteFile(name, []byte(content), 0o644); err != nil {
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
