package snapshot

import (
	"archive/tar"
	"fmt"
	"hash"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// specialHeader is that of what has no content.
func specialHeader(dir *os.File, base, name string, st *unix.Stat_t) (h *tar.Header, err error) {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		h = headerOf(name, tar.TypeSymlink, st)
		h.Linkname, err = readLinkAt(dir, base)
		return h, err
	case unix.S_IFIFO:
		return headerOf(name, tar.TypeFifo, st), nil
	case unix.S_IFSOCK:
		h = headerOf(name, tar.TypeReg, st)
		h.PAXRecords = map[string]string{paxType: typeSocket}
		return h, nil
	case unix.S_IFCHR:
		h = headerOf(name, tar.TypeChar, st)
	case unix.S_IFBLK:
		h = headerOf(name, tar.TypeBlock, st)
	default:
		return nil, fmt.Errorf("%s has mode %o: %w", name, st.Mode, ErrNotSupported)
	}
	h.Devmajor, h.Devminor = int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev))
	return h, nil
}

// headerOf has what all types have in common.
func headerOf(name string, kind byte, st *unix.Stat_t) *tar.Header {
	return &tar.Header{
		Name: name, Typeflag: kind, Mode: int64(st.Mode & 0o7777), Uid: int(st.Uid), Gid: int(st.Gid),
		ModTime: time.Unix(st.Mtim.Unix()), Format: tar.FormatPAX,
	}
}

// header writes an entry's header with its extended attributes.
func (e *exporter) header(h *tar.Header, xattrs xattrSet) error {
	attrs, err := xattrs.all()
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(attrs)) {
		if strings.Contains(name, "=") {
			return fmt.Errorf("attribute %q of %s: %w in a tar", name, h.Name, ErrNotSupported)
		}
		if h.PAXRecords == nil {
			h.PAXRecords = map[string]string{}
		}
		h.PAXRecords[paxXattr+name] = attrs[name]
	}
	return e.write(h)
}

func (e *exporter) write(h *tar.Header) error {
	if err := e.ctx.Err(); err != nil {
		return err
	}
	sumHeader(e.sum, h)
	if err := e.tar.WriteHeader(h); err != nil {
		return fmt.Errorf("%s: %w", filepath.Clean(h.Name), err)
	}
	if h.Name != manifestEntry && h.Name != digestEntry {
		e.done.add(1, 0)
	}
	return nil
}

// sumHeader adds to the digest what an entry means, whatever tar makes of it. The
// content follows.
func sumHeader(sum hash.Hash, h *tar.Header) {
	fmt.Fprintf(sum, "%q %c %o %d %d %d %d %q %d %d %d\n", strings.TrimSuffix(h.Name, "/"), h.Typeflag, h.Mode,
		h.Uid, h.Gid, h.ModTime.Unix(), h.ModTime.Nanosecond(), h.Linkname, h.Devmajor, h.Devminor, h.Size)
	for _, key := range slices.Sorted(maps.Keys(h.PAXRecords)) {
		if strings.HasPrefix(key, paxXattr) || key == paxType {
			fmt.Fprintf(sum, "%q %q\n", key, h.PAXRecords[key])
		}
	}
}
