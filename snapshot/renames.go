package snapshot

import (
	"errors"
	"os"
	"path/filepath"
)

// mostRenames bounds what is kept to look for renamed files.
const mostRenames = 1 << 16

// renames is what a differ reports to where files keep their identity: a file that was
// removed in one place and added in another was renamed.
type renames struct {
	*differ
	a, b  *os.File
	yield func(Change) bool

	list []identified
	full bool // of more changes than are kept
}

type identified struct {
	Change
	id      fileID
	dropped bool
}

// note keeps a change until all are known.
func (r *renames) note(c Change, id fileID) error {
	if !r.full && len(r.list) == mostRenames {
		r.full = true
		if err := r.yieldAll(); err != nil {
			return err
		}
	}
	if r.full {
		return r.pass(c)
	}
	r.list = append(r.list, identified{Change: c, id: id})
	return nil
}

func (r *renames) pass(c Change) error {
	if !r.yield(c) {
		return errStop
	}
	return nil
}

// flush pairs what was removed with what was added, and yields all.
func (r *renames) flush() error {
	removed := map[fileID][]*identified{}
	for i := range r.list {
		if c := &r.list[i]; c.Kind == Removed {
			removed[c.id] = append(removed[c.id], c)
		}
	}
	for i := range r.list {
		c := &r.list[i]
		old := removed[c.id]
		if c.Kind != Added || c.id == (fileID{}) || len(old) == 0 {
			continue
		}
		c.Kind, c.From = Renamed, old[0].Path
		old[0].dropped = true
		removed[c.id] = old[1:]
	}
	return r.yieldAll()
}

// yieldAll leaves out what was renamed along with the directory it is in.
func (r *renames) yieldAll() error {
	moved := map[string]string{} // directories, by their new path
	for _, c := range r.list {
		if c.dropped {
			continue
		}
		along := c.Kind == Renamed && filepath.Base(c.From) == filepath.Base(c.Path) &&
			moved[filepath.Dir(c.Path)] == filepath.Dir(c.From)
		if c.Kind == Renamed && c.id.dir {
			moved[c.Path] = c.From
		}
		if !along {
			if err := r.pass(c.Change); err != nil {
				return err
			}
		}
		if c.Kind == Renamed {
			if err := r.changedToo(c.Change); err != nil {
				return err
			}
		}
	}
	r.list = nil
	return nil
}

// changedToo compares a renamed file with what it was.
func (r *renames) changedToo(c Change) error {
	a, err := openBeneath(r.a, filepath.Dir(c.From))
	if err != nil {
		return ignoreVanished(err)
	}
	defer a.Close()
	b, err := openBeneath(r.b, filepath.Dir(c.Path))
	if err != nil {
		return ignoreVanished(err)
	}
	defer b.Close()
	nameA, nameB := filepath.Base(c.From), filepath.Base(c.Path)
	stA, inA, errA := statIn(a, nameA, true)
	stB, inB, errB := statIn(b, nameB, true)
	if !inA || !inB || untouched(&stA, &stB) {
		return errors.Join(errA, errB)
	}
	kind, err := compare(r.ctx, nameA, nameB, a, b, &stA, &stB)
	if err != nil || kind == "" {
		return ignoreVanished(err)
	}
	return r.pass(Change{Path: c.Path, Kind: kind})
}
