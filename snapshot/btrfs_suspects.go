package snapshot

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/prologin/rig/internal/btrfs"
)

// mostSuspects bounds the memory: with more changed files than that, walking both
// trees is no slower.
const mostSuspects = 1 << 16

// errTooMany says that Suspects gives up.
var errTooMany = errors.New("too many changes")

// Descent is the subvolume's, for Suspects when the subvolume is gone.
func (btrfsDriver) Descent(path string) (string, error) {
	f, err := openSubvolume(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	list, err := descentOf(f)
	if searchRefused(err) {
		err = nil
	}
	return formatDescent(list), err
}

// Suspects reads from the file system's own trees what was written since the two
// subvolumes were one.
func (btrfsDriver) Suspects(ctx context.Context, a, b *os.File, descentA, descentB string) ([]string, bool, error) {
	since, ok, err := partingOf(a, b, descentA, descentB)
	if ok && err == nil {
		s := suspector{ctx: ctx, since: since, paths: map[string]bool{}}
		s.a, err = newSide(a)
		if err == nil {
			s.b, err = newSide(b)
		}
		if err == nil {
			err = s.collect()
		}
		if err == nil {
			paths := make([]string, 0, len(s.paths))
			for path := range s.paths {
				paths = append(paths, path)
			}
			return paths, true, nil
		}
	}
	if searchRefused(err) || errors.Is(err, errTooMany) || errors.Is(err, unix.ENAMETOOLONG) || errors.Is(err, errNoSubvolume) {
		return nil, false, nil
	}
	return nil, false, err
}

// partingOf also writes out what is still in memory of a subvolume that is in use.
func partingOf(a, b *os.File, descentA, descentB string) (uint64, bool, error) {
	var lists [2][]ancestor
	for i, f := range []*os.File{a, b} {
		var st unix.Stat_t
		if err := unix.Fstat(int(f.Fd()), &st); err != nil || st.Ino != firstFreeObjectID {
			return 0, false, err
		}
		info, err := infoOf(f)
		if err != nil {
			return 0, false, err
		}
		if info.Flags&rootReadOnly == 0 {
			if err := btrfs.Ioctl(f, "sync", iocSync, nil); err != nil {
				return 0, false, err
			}
		}
		list, err := descentOf(f)
		if err != nil {
			return 0, false, err
		}
		lists[i] = append(list, until(parseDescent([]string{descentA, descentB}[i]), info.OTransID)...)
	}
	since, ok := parting(lists[0], lists[1])
	return since, ok, nil
}

// A suspector collects the paths at which two subvolumes may differ: those of the
// files that were changed since they parted, and in changed directories the names that
// do not stand for the same in both. What is below a directory that was added, removed
// or replaced is not listed.
type suspector struct {
	ctx   context.Context
	since uint64
	a, b  *side
	paths map[string]bool
}

func (s *suspector) add(path string) error {
	if len(s.paths) >= mostSuspects {
		return errTooMany
	}
	s.paths[path] = true
	return s.ctx.Err()
}

func (s *suspector) collect() error {
	changed := map[uint64]bool{} // whether it is a directory
	for _, side := range []*side{s.a, s.b} {
		if err := s.inodes(side, changed); err != nil {
			return err
		}
		inner, err := nestedIn(side.dir)
		if err != nil {
			return err
		}
		for _, n := range inner {
			if err := s.add(n.path); err != nil {
				return err
			}
		}
	}
	for inode, isDir := range changed {
		names := s.fileNames
		if isDir {
			names = s.dirNames
		}
		if err := names(inode); err != nil {
			return err
		}
	}
	return nil
}

// inodes finds the files that a side changed. The search returns all items of the
// leaves that were written; an inode has the transaction of its own last change.
func (s *suspector) inodes(side *side, changed map[uint64]bool) error {
	items := newSearch(side.dir, searchKey{
		treeID: side.id, minObjectID: firstFreeObjectID, maxObjectID: lastNumber - 256,
		maxOffset: lastNumber, minTransID: s.since + 1, maxType: 255,
	})
	for {
		h, item, ok, err := items.next()
		if err != nil || !ok {
			return err
		}
		const transactionAt, modeAt, size = 8, 52, 160 // in struct btrfs_inode_item
		if h.kind != inodeItem || len(item) < size || binary.LittleEndian.Uint64(item[transactionAt:]) <= s.since {
			continue
		}
		changed[h.objectID] = binary.LittleEndian.Uint32(item[modeAt:])&unix.S_IFMT == unix.S_IFDIR
		if len(changed) > mostSuspects {
			return errTooMany
		}
	}
}

// fileNames adds all names that a file has on either side.
func (s *suspector) fileNames(inode uint64) error {
	for _, side := range []*side{s.a, s.b} {
		items := newSearch(side.dir, itemsOf(side.id, inode, inodeRef, inodeExtref))
		for {
			h, item, ok, err := items.next()
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			for parent, name := range refs(h, item) {
				dir, there, err := side.path(parent)
				if err == nil && there {
					err = s.add(filepath.Join(dir, name))
				}
				if err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// refs yields the directory and the name of each link in an INODE_REF or INODE_EXTREF.
func refs(h searchHeader, item []byte) func(yield func(uint64, string) bool) {
	return func(yield func(uint64, string) bool) {
		for len(item) > 0 {
			parent, at := h.offset, 8 // the index comes first
			if h.kind == inodeExtref {
				parent, at = binary.LittleEndian.Uint64(item), 16
			}
			if len(item) < at+2 {
				return
			}
			end := at + 2 + int(binary.LittleEndian.Uint16(item[at:]))
			if len(item) < end || !yield(parent, string(item[at+2:end])) {
				return
			}
			item = item[end:]
		}
	}
}

// dirNames adds a directory that is at the same path on both sides, and its names that
// do not stand for the same. A directory that is not lies below another such name.
func (s *suspector) dirNames(inode uint64) error {
	path, inA, err := s.a.path(inode)
	if err != nil {
		return err
	}
	pathB, inB, err := s.b.path(inode)
	if err != nil || !inA || !inB || path != pathB {
		return err
	}
	if err := s.add(path); err != nil {
		return err
	}
	return s.entries(inode, path)
}

// entries goes through a directory on both sides in the order in which the names were
// given, which is the same for all that both have.
func (s *suspector) entries(inode uint64, path string) error {
	a, b := newListing(s.a, inode), newListing(s.b, inode)
	for {
		if err := errors.Join(a.err, b.err); err != nil {
			return err
		}
		var suspects []string
		switch {
		case !a.ok && !b.ok:
			return nil
		case !b.ok || a.ok && a.index < b.index:
			suspects = []string{a.name()}
			a.advance()
		case !a.ok || b.index < a.index:
			suspects = []string{b.name()}
			b.advance()
		default:
			if !bytes.Equal(a.item, b.item) {
				suspects = []string{a.name(), b.name()}
			}
			a.advance()
			b.advance()
		}
		for _, name := range suspects {
			if err := s.add(filepath.Join(path, name)); err != nil {
				return err
			}
		}
	}
}
