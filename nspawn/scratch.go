package nspawn

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
)

// scratchParent is where nspawn makes a directory for each bind and each topmost layer
// of an overlay that has no source, wherever TMPDIR is. When it is killed, they stay:
// one that is killed before the machine has a first process has told nobody of them,
// and systemd-tmpfiles(8) removes them in time. Directories of our own would be worse
// off: of a machine that ends while no program of ours runs, nobody would remove them.
const scratchParent = "/var/tmp"

var scratchPattern = regexp.MustCompile(`/(nspawn-temp-[A-Za-z0-9]{6})[/ ]`)

// wantsScratch reports whether nspawn makes such directories.
func (c *Config) wantsScratch() bool {
	return slices.ContainsFunc(c.Binds, func(b Bind) bool { return b.Source == "" }) ||
		slices.ContainsFunc(c.Overlays, func(o Overlay) bool { return slices.Contains(o.Layers, "") })
}

// findScratch lists the names of what nspawn has made for a machine whose first process
// has only just begun: nspawn itself tells nobody.
func findScratch(leader int) (names []string, err error) {
	mounts, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", leader))
	for _, match := range scratchPattern.FindAllSubmatch(mounts, -1) {
		names = append(names, string(match[1]))
	}
	slices.Sort(names)
	return slices.Compact(names), err
}

// removeScratch removes what an nspawn that is killed leaves of them.
func (r *record) removeScratch() error {
	if len(r.Scratch) == 0 {
		return nil
	}
	parent, err := os.OpenRoot(scratchParent)
	if err != nil {
		return err
	}
	defer parent.Close()
	var errs []error
	for _, name := range r.Scratch {
		errs = append(errs, parent.RemoveAll(name))
	}
	return errors.Join(errs...)
}
