package archtest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// keepUnused is for how long a mirror stays in the cache that nobody starts. Each takes
// some 200 MB, and an edit of a recipe makes a new one.
const keepUnused = 14 * 24 * time.Hour

// keepMost is how many mirrors stay, the last used ones: all suites' with two sets of
// add-ons each, of two versions of the recipes.
const keepMost = 12

// entryName is the form of the names that entries have, of any version of this package,
// and what a killed build of one left.
var entryName = regexp.MustCompile(`^mirror-[a-z]+-[0-9a-f]{12}(\+[a-z0-9+-]+)?(\.tmp-[0-9]+)?$`)

// evictedPrefix is before the name of an entry that is being removed.
const evictedPrefix = ".evicted-"

// hold marks an entry as used now, and keeps it from being evicted until release is
// called. It fails with [fs.ErrNotExist] if the entry was evicted just now. A process that
// may not write there neither marks nor evicts.
func hold(dir string) (release func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	release = func() {
		unix.Flock(int(f.Fd()), unix.LOCK_UN) // a child between fork and exec has the file as well
		f.Close()
	}
	// An eviction that has begun is waited for, and has then moved what was opened.
	for err = unix.EINTR; err == unix.EINTR; {
		err = unix.Flock(int(f.Fd()), unix.LOCK_SH)
	}
	if err == nil {
		err = sameFile(f, dir)
	}
	if err != nil {
		release()
		return nil, err
	}
	now := time.Now()
	_ = os.Chtimes(dir, now, now)
	return release, nil
}

// sameFile fails with [fs.ErrNotExist] if a path no longer leads to an open file.
func sameFile(f *os.File, path string) error {
	have, err := f.Stat()
	if err != nil {
		return err
	}
	is, err := os.Stat(path)
	if err == nil && !os.SameFile(have, is) {
		err = &fs.PathError{Op: "hold", Path: path, Err: fs.ErrNotExist}
	}
	return err
}

// evict removes from a cache the mirrors that nobody has started for long, and of the
// others those that were used longest ago when there are more than most. One in use
// stays, however old it is. It is renamed first, so that no half of it is ever found.
func evict(cache string, unused time.Duration, most int) error {
	found, err := cached(cache)
	if err != nil {
		return err
	}
	faults := []error{removeEvicted(cache)}
	whole := 0
	for _, e := range found {
		// What is being built, or was when its builder was killed, does not count.
		isWhole := !strings.Contains(e.Name(), ".tmp-")
		if isWhole {
			whole++
		}
		if time.Since(e.ModTime()) >= unused || isWhole && whole > most {
			faults = append(faults, evictEntry(filepath.Join(cache, e.Name())))
		}
	}
	return errors.Join(faults...)
}

// removeEvicted removes what evictions left that were killed.
func removeEvicted(cache string) error {
	names, err := fs.Glob(os.DirFS(cache), evictedPrefix+"mirror-*")
	faults := []error{err}
	for _, name := range names {
		faults = append(faults, os.RemoveAll(filepath.Join(cache, name)))
	}
	return errors.Join(faults...)
}

// cached lists the entries of a cache, and what will become one, the last used first.
func cached(cache string) ([]fs.FileInfo, error) {
	entries, err := os.ReadDir(cache)
	if err != nil {
		return nil, err
	}
	var found []fs.FileInfo
	for _, e := range entries {
		if info, err := e.Info(); err == nil && e.IsDir() && entryName.MatchString(e.Name()) {
			found = append(found, info)
		}
	}
	slices.SortStableFunc(found, func(a, b fs.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	return found, nil
}

func evictEntry(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return nil // another process was faster
	}
	defer f.Close()
	return evictOpened(f, dir)
}

// evictOpened evicts an entry unless it is in use, or was evicted since it was opened,
// and maybe built anew.
func evictOpened(f *os.File, dir string) error {
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return nil
	}
	defer unix.Flock(int(f.Fd()), unix.LOCK_UN)
	if sameFile(f, dir) != nil {
		return nil
	}
	doomed := filepath.Join(filepath.Dir(dir), evictedPrefix+filepath.Base(dir))
	if err := errors.Join(os.RemoveAll(doomed), os.Rename(dir, doomed)); err != nil {
		return err
	}
	return os.RemoveAll(doomed)
}
