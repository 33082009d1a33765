package archtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prologin/rig/archboot/archtest/internal/debian"
	"golang.org/x/sys/unix"
)

// entry is a built mirror in the cache directory: DIR/NAME when it is whole,
// DIR/NAME.tmp-* while it is made, DIR/NAME.lock for the one that makes it. The
// name is STEM, or STEM+DIGEST with add-ons, which addOnsFile in it lists.
type entry struct {
	dir, stem string
	addOns    []string // sorted
}

// layout changes with what this package puts into an entry.
const layout = "5"

// addOnsFile lists the add-ons of an entry, one a line.
const addOnsFile = "addons"

// cacheEntry names the mirror after all that decides its content, except for the
// state of the Debian archive: a cached mirror is used for as long as it is kept.
func cacheEntry(o Options) entry {
	return entry{
		dir: o.CacheDir, stem: "mirror-" + string(o.Suite) + "-" + digest(layout, debian.Version(), o.DebianMirror),
		addOns: slices.Compact(slices.Sorted(slices.Values(o.AddOns))),
	}
}

// digest is short enough for a file's name and long enough to be the only one.
func digest(lines ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:6])
}

func (e entry) path() string {
	name := e.stem
	if len(e.addOns) > 0 {
		name += "+" + digest(e.addOns...)
	}
	return filepath.Join(e.dir, name)
}

// find returns the directory of the entry, or of one that has further add-ons
// besides, the fewest possible. An entry is renamed into place when it is whole, so
// nothing else has to be looked at.
func (e entry) find() (dir string, ok bool) {
	names, _ := fs.Glob(os.DirFS(e.dir), e.stem+"*")
	fewest := 0
	for _, name := range names {
		candidate := filepath.Join(e.dir, name)
		stem, _, _ := strings.Cut(name, "+")
		list, err := os.ReadFile(filepath.Join(candidate, addOnsFile))
		if stem != e.stem || err != nil {
			continue
		}
		have := strings.Fields(string(list))
		lacks := slices.ContainsFunc(e.addOns, func(a string) bool { return !slices.Contains(have, a) })
		if !lacks && (!ok || len(have) < fewest) {
			dir, ok, fewest = candidate, true, len(have)
		}
	}
	return dir, ok
}

// lock waits for the exclusive right to build the entry. It calls waiting once if
// another process has it.
func (e entry) lock(ctx context.Context, waiting func()) (unlock func(), err error) {
	if err := os.MkdirAll(e.dir, 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(e.path()+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	// flock(2) cannot be interrupted by a context, hence the ticker.
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for first := true; ; first = false {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() {
				// A child between fork and exec has the file as well: closing is not enough.
				unix.Flock(int(file.Fd()), unix.LOCK_UN)
				file.Close()
			}, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			file.Close()
			return nil, &fs.PathError{Op: "flock", Path: file.Name(), Err: err}
		}
		if first {
			waiting()
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, context.Cause(ctx)
		case <-tick.C:
		}
	}
}

// sweep removes what a killed build left. Only the holder of the lock may call it.
func (e entry) sweep() error {
	leftovers, err := fs.Glob(os.DirFS(e.dir), filepath.Base(e.path())+".tmp-*")
	if err != nil {
		return err
	}
	var faults []error
	for _, name := range leftovers {
		faults = append(faults, os.RemoveAll(filepath.Join(e.dir, name)))
	}
	return errors.Join(faults...)
}

// ensure builds the entry unless one is there that does, and returns its directory.
// make is given an empty directory and leaves in its subdirectory "mirror" what the
// entry becomes; the rest is removed.
func (e entry) ensure(ctx context.Context, waiting func(), make func(dir string) error) (string, error) {
	if dir, ok := e.find(); ok {
		return dir, nil
	}
	unlock, err := e.lock(ctx, waiting)
	if err != nil {
		return "", err
	}
	defer unlock()
	if err := e.sweep(); err != nil {
		return "", fmt.Errorf("remove what an interrupted build left: %w", err)
	}
	if dir, ok := e.find(); ok {
		return dir, nil
	}
	dir, err := os.MkdirTemp(e.dir, filepath.Base(e.path())+".tmp-")
	if err != nil {
		return "", err
	}
	if err = make(dir); err == nil {
		err = e.publish(filepath.Join(dir, "mirror"))
	}
	return e.path(), errors.Join(err, os.RemoveAll(dir))
}

// publish makes a built mirror the entry.
func (e entry) publish(mirror string) error {
	list := []byte(strings.Join(e.addOns, "\n"))
	if err := os.WriteFile(filepath.Join(mirror, addOnsFile), list, 0o644); err != nil {
		return err
	}
	return os.Rename(mirror, e.path())
}

// Cached reports whether [Start] would find the mirror in the cache, so that nothing
// has to be built and none of the programs for that is needed.
func Cached(o Options) bool {
	if o.Validate() != nil {
		return false
	}
	o, err := o.withDefaults()
	if err != nil {
		return false
	}
	if o.Suite == Synthetic || o.Upstream != nil {
		return true // made at once, and never in the cache
	}
	_, ok := cacheEntry(o).find()
	return ok
}
