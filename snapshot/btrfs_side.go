package snapshot

import (
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/prologin/rig/internal/btrfs"
)

const iocInoLookup = 0xd0009412

// A side is one of the two subvolumes.
type side struct {
	dir   *os.File
	id    uint64
	paths map[uint64]string // of directories, "" for none any more
}

func newSide(dir *os.File) (*side, error) {
	info, err := infoOf(dir)
	return &side{dir, info.TreeID, map[uint64]string{}}, err
}

// path is that of a directory, relative to the subvolume, or false if it has gone.
func (s *side) path(inode uint64) (string, bool, error) {
	if inode == firstFreeObjectID {
		return ".", true, nil
	}
	if path, known := s.paths[inode]; known {
		return path, path != "", nil
	}
	var args struct { // struct btrfs_ioctl_ino_lookup_args
		treeID, objectID uint64
		name             [4080]byte
	}
	args.treeID, args.objectID = s.id, inode
	err := btrfs.Ioctl(s.dir, "look up inode in", iocInoLookup, unsafe.Pointer(&args))
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return "", false, err
	}
	path := ""
	if err == nil {
		path = strings.TrimSuffix(cString(args.name[:]), "/")
	}
	s.paths[inode] = path
	return path, path != "", nil
}

// A listing is a position in a directory.
type listing struct {
	search *search
	index  uint64
	item   []byte
	ok     bool
	err    error
}

func newListing(side *side, inode uint64) *listing {
	e := &listing{search: newSearch(side.dir, itemsOf(side.id, inode, dirIndex, dirIndex))}
	e.advance()
	return e
}

func (e *listing) advance() {
	var h searchHeader
	h, e.item, e.ok, e.err = e.search.next()
	e.index = h.offset
}

// name is the rest of struct btrfs_dir_item.
func (e *listing) name() string {
	const sizeAt, nameAt = 27, 30
	if len(e.item) < nameAt {
		return ""
	}
	end := nameAt + int(binary.LittleEndian.Uint16(e.item[sizeAt:]))
	return string(e.item[nameAt:min(end, len(e.item))])
}
