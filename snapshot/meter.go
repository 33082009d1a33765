package snapshot

import (
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// A meter adds up what files take, each once however many names it has.
type meter struct {
	ctx        context.Context
	referenced int64
	exclusive  int64
	entries    int64
	// shared, if given, is called with what other files have too.
	shared func(span)

	met      map[inode]uint64 // names still to be met
	unmapped bool             // the file system does not tell, as it shares nothing
}

func newMeter(ctx context.Context) *meter { return &meter{ctx: ctx, met: map[inode]uint64{}} }

// tree measures all files below a directory, by itself not included.
func (m *meter) tree(path string) error {
	root, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(m.dir(root), root.Close())
}

func (m *meter) dir(dir *os.File) error {
	for {
		if err := m.ctx.Err(); err != nil {
			return err
		}
		names, err := dir.Readdirnames(someNames)
		for _, name := range names {
			if err := m.entry(dir, name); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || vanished(err) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (m *meter) entry(dir *os.File, name string) error {
	st, there, err := statIn(dir, name, true)
	if err != nil || !there || m.metBefore(&st) {
		return err
	}
	m.referenced += allocated(&st)
	m.entries++
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		m.exclusive += allocated(&st)
		sub, err := openDirIn(dir, name)
		if err != nil {
			return ignoreVanished(err)
		}
		return errors.Join(m.dir(sub), sub.Close())
	case unix.S_IFREG:
		if st.Blocks > 0 && !m.unmapped {
			return m.extents(dir, name, &st)
		}
	}
	m.exclusive += allocated(&st)
	return nil
}

// metBefore reports whether a file has been met under another name. It is forgotten
// with its last.
func (m *meter) metBefore(st *unix.Stat_t) bool {
	if !linked(st) {
		return false
	}
	key := inode{st.Dev, st.Ino}
	left, met := m.met[key]
	if !met {
		left = uint64(st.Nlink)
	}
	if m.met[key] = left - 1; left == 1 {
		delete(m.met, key)
	}
	return met
}

// extents adds what a file alone has, and reports the rest.
func (m *meter) extents(dir *os.File, name string, st *unix.Stat_t) error {
	fd, err := openAt(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return ignoreVanished(err)
	}
	defer unix.Close(fd)
	err = eachExtent(fd, func(at span, shared bool) {
		switch {
		case !shared:
			m.exclusive += at.end - at.start
		case m.shared != nil:
			m.shared(at)
		}
	})
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOTTY) {
		m.unmapped = true
		m.exclusive += allocated(st)
		return nil
	}
	if err != nil {
		return &os.PathError{Op: "map extents of", Path: dir.Name() + "/" + name, Err: err}
	}
	return nil
}
