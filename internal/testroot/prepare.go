package testroot

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// masked units do nothing useful in a test and cost time, or wait for what never
// comes.
var masked = []string{
	"apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer",
	"e2scrub_all.timer", "e2scrub_reap.service", "fstrim.timer", "man-db.timer",
	"systemd-networkd-wait-online.service",
}

// prepare makes a fresh installation boot fast and into the same state every
// time. The tree was written by us a moment ago, so paths are joined as text.
func prepare(root string) error {
	etc := filepath.Join(root, "etc")
	return errors.Join(
		// Written by mmdebstrap after the building machine; nspawn and systemd
		// fill in the machine's own.
		remove(filepath.Join(etc, "hostname")),
		remove(filepath.Join(etc, "resolv.conf")),
		os.WriteFile(filepath.Join(etc, "resolv.conf"), nil, 0o644),
		// Empty, not absent: absent is a first boot, machine-id(5).
		os.WriteFile(filepath.Join(etc, "machine-id"), nil, 0o444),
		mask(filepath.Join(etc, "systemd/system")),
		enable(root, "systemd-networkd.service", "multi-user.target.wants"),
		updated(root),
	)
}

func mask(units string) error {
	var errs []error
	for _, unit := range masked {
		path := filepath.Join(units, unit)
		errs = append(errs, remove(path), os.Symlink("/dev/null", path))
	}
	return errors.Join(errs...)
}

// enable links a unit into the .wants of a target, as systemctl does.
func enable(root, unit, wants string) error {
	dir := filepath.Join(root, "etc/systemd/system", wants)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	link := filepath.Join(dir, unit)
	return errors.Join(remove(link), os.Symlink("/usr/lib/systemd/system/"+unit, link))
}

// updated writes the stamps that ConditionNeedsUpdate= compares with /usr.
func updated(root string) error {
	usr, err := os.Stat(filepath.Join(root, "usr"))
	if err != nil {
		return err
	}
	var errs []error
	for _, dir := range []string{"etc", "var"} {
		stamp := filepath.Join(root, dir, ".updated")
		errs = append(errs, os.WriteFile(stamp, nil, 0o644), os.Chtimes(stamp, usr.ModTime(), usr.ModTime()))
	}
	return errors.Join(errs...)
}

// remove is os.Remove that takes absence for success.
func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
