package snapshot

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Size is how much space a tree takes, in bytes.
type Size struct {
	// Referenced is what all files of the tree take together, shared or not.
	Referenced int64
	// Exclusive is what would come back if the tree were deleted, or -1 where the
	// driver does not promise, in its Capabilities, to know.
	Exclusive int64
	// Entries is the number of files of all types, directories included.
	Entries int64
}

// Size measures a snapshot, or with an empty name the volume as it is now. It looks at
// every file.
func (v *Volume) Size(ctx context.Context, name string) (Size, error) {
	size, err := v.size(ctx, name)
	return size, wrap(Error{Op: "measure", Path: v.store.dir, Volume: v.name, Snapshot: name}, err)
}

func (v *Volume) size(ctx context.Context, name string) (Size, error) {
	dir, release, err := v.look(ctx, name)
	if err != nil {
		return Size{}, err
	}
	defer release()
	root, err := os.Open(dir)
	if err != nil {
		return Size{}, err
	}
	defer root.Close()
	m := meter{ctx: ctx, size: Size{Exclusive: -1}, met: map[inode]bool{}}
	err = m.dir(root)
	return m.size, err
}

// A meter adds up what files take, each once however many names it has.
type meter struct {
	ctx  context.Context
	size Size
	met  map[inode]bool
}

func (m *meter) dir(dir *os.File) error {
	if err := m.ctx.Err(); err != nil {
		return err
	}
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		st, there, err := statIn(dir, name, true)
		if err != nil {
			return err
		}
		if !there || !m.count(&st) || st.Mode&unix.S_IFMT != unix.S_IFDIR {
			continue
		}
		sub, err := openDirIn(dir, name)
		if err != nil {
			return err
		}
		if err := errors.Join(m.dir(sub), sub.Close()); err != nil {
			return err
		}
	}
	return nil
}

// count adds a file, and reports false if it has been met under another name.
func (m *meter) count(st *unix.Stat_t) bool {
	if st.Nlink > 1 && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		key := inode{st.Dev, st.Ino}
		if m.met[key] {
			return false
		}
		m.met[key] = true
	}
	const blockSize = 512 // of st_blocks, whatever the file system's
	m.size.Referenced += st.Blocks * blockSize
	m.size.Entries++
	return true
}
