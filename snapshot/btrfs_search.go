package snapshot

import (
	"encoding/binary"
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/prologin/rig/internal/btrfs"
)

// Trees and kinds of items of linux/btrfs_tree.h.
const (
	iocTreeSearchV2 = 0xc0709411
	rootTree        = 1
	uuidTree        = 9
	inodeItem       = 1
	inodeRef        = 12
	inodeExtref     = 13
	orphanItem      = 48
	dirIndex        = 96
	rootItem        = 132
	uuidSubvolume   = 251
	orphanObject    = 1<<64 - 5 // BTRFS_ORPHAN_OBJECTID, which is -5
	lastNumber      = 1<<64 - 1
)

// searchKey is struct btrfs_ioctl_search_key. It selects the items between two keys,
// the object, the type and the offset counting in this order, in leaves that were
// written by the transactions from minTransID on.
type searchKey struct {
	treeID                   uint64
	minObjectID, maxObjectID uint64
	minOffset, maxOffset     uint64
	minTransID, maxTransID   uint64
	minType, maxType         uint32
	items                    uint32
	_                        uint32
	_                        [4]uint64
}

// A search reads items of a tree, in their order, a buffer at a time. The first is
// small, since most searches are for one item.
type search struct {
	dir  *os.File // any on the file system
	key  searchKey
	buf  []byte
	left uint32 // items in the buffer
	at   int
	done bool
}

const (
	smallBuffer = 4 << 10
	largeBuffer = 128 << 10 // more than the largest item
)

// searchArgs is struct btrfs_ioctl_search_args_v2, which the items follow.
type searchArgs struct {
	searchKey
	size uint64
}

const searchArgsSize = int(unsafe.Sizeof(searchArgs{}))

// searchHeader is struct btrfs_ioctl_search_header.
type searchHeader struct {
	transID  uint64 // of the leaf
	objectID uint64
	offset   uint64
	kind     uint32
	size     uint32
}

const searchHeaderSize = 32

func newSearch(dir *os.File, key searchKey) *search {
	if key.maxTransID == 0 {
		key.maxTransID = lastNumber
	}
	return &search{dir: dir, key: key}
}

// next returns the next item, which is valid until the next call, or false after the
// last.
func (s *search) next() (h searchHeader, item []byte, ok bool, err error) {
	if s.left == 0 {
		if err := s.fill(); err != nil || s.left == 0 {
			return h, nil, false, err
		}
	}
	head := s.buf[s.at:]
	h = searchHeader{
		binary.NativeEndian.Uint64(head), binary.NativeEndian.Uint64(head[8:]), binary.NativeEndian.Uint64(head[16:]),
		binary.NativeEndian.Uint32(head[24:]), binary.NativeEndian.Uint32(head[28:]),
	}
	s.at += searchHeaderSize + int(h.size)
	s.left--
	s.after(h)
	return h, head[searchHeaderSize : searchHeaderSize+int(h.size)], true, nil
}

// fill asks for the items from the key on.
func (s *search) fill() error {
	if s.done {
		return nil
	}
	if err := s.request(); err != nil {
		return err
	}
	s.left, s.at = (*searchArgs)(unsafe.Pointer(&s.buf[0])).items, searchArgsSize
	s.done = s.left == 0
	return nil
}

func (s *search) request() error {
	size := largeBuffer
	if s.buf == nil {
		size = smallBuffer
	}
	for {
		if len(s.buf) < searchArgsSize+size {
			s.buf = make([]byte, searchArgsSize+size)
		}
		args := (*searchArgs)(unsafe.Pointer(&s.buf[0]))
		args.searchKey, args.size, args.items = s.key, uint64(size), 1<<32-1
		err := btrfs.Ioctl(s.dir, "search", iocTreeSearchV2, unsafe.Pointer(args))
		if !errors.Is(err, unix.EOVERFLOW) || size == largeBuffer {
			return err
		}
		size = largeBuffer
	}
}

// after moves the key beyond an item.
func (s *search) after(h searchHeader) {
	s.key.minObjectID, s.key.minType, s.key.minOffset = h.objectID, h.kind, h.offset+1
	if s.key.minOffset != 0 {
		return
	}
	if s.key.minType++; s.key.minType > 255 {
		s.key.minType = 0
		s.key.minObjectID++
		s.done = s.done || s.key.minObjectID == 0
	}
}

// itemsOf selects all items of an object whose type is from first to last.
func itemsOf(tree, object uint64, first, last uint32) searchKey {
	return searchKey{treeID: tree, minObjectID: object, maxObjectID: object, minType: first, maxType: last, maxOffset: lastNumber}
}

// searchRefused reports whether a search failed because this process may not make one,
// or the kernel cannot.
func searchRefused(err error) bool {
	return errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EOVERFLOW)
}
