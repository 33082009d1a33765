package snapshot

import (
	"archive/tar"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// statOf is an entry's header as the kernel has it.
func statOf(h *tar.Header) *unix.Stat_t {
	st := &unix.Stat_t{Mode: uint32(h.Mode & 0o7777), Uid: uint32(h.Uid), Gid: uint32(h.Gid)}
	st.Mtim = unix.Timespec{Sec: h.ModTime.Unix(), Nsec: int64(h.ModTime.Nanosecond())}
	st.Atim = st.Mtim
	return st
}

func (u *unpacker) setAttributes(fd int, h *tar.Header) error {
	if u.changes() {
		if err := xattrsOfFile(fd, h.Name).removeOthers(xattrsInHeader(h)); err != nil {
			return err
		}
	}
	return applyAttributes(fd, statOf(h), h.Name, xattrsInHeader(h))
}

func (u *unpacker) setAttributesAt(dir *os.File, base string, h *tar.Header) error {
	if u.changes() {
		if err := xattrsOfName(dir, base, h.Name).removeOthers(xattrsInHeader(h)); err != nil {
			return err
		}
	}
	st := statOf(h)
	if h.Typeflag == tar.TypeSymlink {
		st.Mode |= unix.S_IFLNK
	}
	return applyAttributesAt(dir, base, st, xattrsInHeader(h))
}

func xattrsInHeader(h *tar.Header) map[string]string {
	var attrs map[string]string
	for key, value := range h.PAXRecords {
		if name, ok := strings.CutPrefix(key, paxXattr); ok {
			if attrs == nil {
				attrs = map[string]string{}
			}
			attrs[name] = value
		}
	}
	return attrs
}
