package archtest

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"golang.org/x/sys/unix"
)

// keepUnused is for how long a mirror stays in the cache that nobody starts. Each takes
// some 200 MB, and an edit of a recipe makes a new one.
const keepUnused = 14 * 24 * time.Hour

// entryName is the form of the names that entries have, of any version of this package,
// and what a killed build of one left.
var entryName = regexp.MustCompile(`^mirror-[a-z]+-[0-9a-f]{12}(\+[a-z0-9+-]+)?(\.tmp-[0-9]+)?$`)

// hold marks an entry as used now, and keeps it from being evicted until release is
// called. A process that may not write there neither marks nor evicts.
func hold(dir string) (release func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, err // being evicted
	}
	now := time.Now()
	_ = os.Chtimes(dir, now, now)
	return func() {
		unix.Flock(int(f.Fd()), unix.LOCK_UN) // a child between fork and exec has the file as well
		f.Close()
	}, nil
}

// evict removes mirrors from a cache that nobody has started for long. One in use stays,
// however old it is. It is renamed first, so that no half of it is ever found.
func evict(cache string, unused time.Duration) error {
	entries, err := os.ReadDir(cache)
	if err != nil {
		return err
	}
	var faults []error
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !e.IsDir() || !entryName.MatchString(e.Name()) || time.Since(info.ModTime()) < unused {
			continue
		}
		faults = append(faults, evictEntry(filepath.Join(cache, e.Name())))
	}
	return errors.Join(faults...)
}

func evictEntry(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return nil // another process was faster
	}
	defer f.Close()
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return nil
	}
	defer unix.Flock(int(f.Fd()), unix.LOCK_UN)
	doomed := filepath.Join(filepath.Dir(dir), ".evicted-"+filepath.Base(dir))
	if err := errors.Join(os.RemoveAll(doomed), os.Rename(dir, doomed)); err != nil {
		return err
	}
	return os.RemoveAll(doomed)
}
