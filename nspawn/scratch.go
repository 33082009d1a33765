package nspawn

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
)

// scratchParent is where nspawn makes a directory for each bind and each topmost layer
// of an overlay that has no source, wherever TMPDIR is. When it is killed, they stay.
// They are known by their mounts: of one that is killed before it has mounted them,
// nobody knows, and systemd-tmpfiles(8) removes them in time. Directories of our own
// would be worse off: nobody would remove those of a machine that ends while no program
// of ours runs.
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

// noteScratch finds what the nspawn of a machine has made that nobody has seen begin,
// before it is killed. A control group of the service manager's may be that of another
// state directory's machine, and is left alone.
func (r *record) noteScratch() {
	if len(r.Scratch) > 0 || !r.Config.wantsScratch() || r.Launcher != LauncherDirect || r.BootID != bootID() {
		return
	}
	for _, pid := range r.Cgroup.processes() {
		names, _ := findScratch(pid) // it may have ended
		r.Scratch = append(r.Scratch, names...)
	}
	slices.Sort(r.Scratch)
	r.Scratch = slices.Compact(r.Scratch)
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
