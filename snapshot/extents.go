package snapshot

import (
	"cmp"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The request and the flags of linux/fiemap.h.
const (
	iocFiemap     = 0xc020660b
	extentLast    = 1 << 0
	extentUnknown = 1 << 1
	extentDelayed = 1 << 2
	extentInline  = 1 << 9
	extentShared  = 1 << 13
	extentNowhere = extentUnknown | extentDelayed | extentInline
	extentsAtOnce = 64
	wholeFile     = 1<<64 - 1
)

// fiemap is struct fiemap with its array.
type fiemap struct {
	start, length uint64
	flags, mapped uint32
	count, _      uint32
	extents       [extentsAtOnce]struct {
		logical, physical, length uint64
		_                         [2]uint64
		flags                     uint32
		_                         [3]uint32
	}
}

// A span is a part of the disk, from start up to end.
type span struct{ start, end int64 }

// eachExtent calls f with each place of the disk where an open file has data, and
// whether other files, or other snapshots of this one, have it too.
func eachExtent(fd int, f func(at span, shared bool)) error {
	for start := uint64(0); ; {
		request := fiemap{start: start, length: wholeFile - start, count: extentsAtOnce}
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), iocFiemap, uintptr(unsafe.Pointer(&request)))
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return errno
		}
		for _, e := range request.extents[:request.mapped] {
			if e.flags&extentNowhere == 0 {
				f(span{int64(e.physical), int64(e.physical + e.length)}, e.flags&extentShared != 0)
			}
			if e.flags&extentLast != 0 {
				return nil
			}
			start = e.logical + e.length
		}
		if request.mapped == 0 {
			return nil
		}
	}
}

// spans are parts of the disk in order, none of which touch.
type spans []span

// normalize makes spans of parts in any order.
func normalize(parts []span) spans {
	slices.SortFunc(parts, func(a, b span) int { return cmp.Compare(a.start, b.start) })
	var list spans
	for _, p := range parts {
		if last := len(list) - 1; last >= 0 && p.start <= list[last].end {
			list[last].end = max(list[last].end, p.end)
		} else {
			list = append(list, p)
		}
	}
	return list
}

func (s spans) size() (total int64) {
	for _, p := range s {
		total += p.end - p.start
	}
	return total
}
