package snapshot

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

// The entries of an exported stream, in this order: the manifest, the tree depth first
// with each directory sorted by name, and the digest.
const (
	manifestEntry = "manifest.json"
	treeEntry     = "tree"
	digestEntry   = "sha256"
)

// Records of our own in the headers of entries.
const (
	paxXattr = "SCHILY.xattr." // as GNU tar, bsdtar and star have it
	paxType  = "RIG.type"      // of what tar has no type for
)

const typeSocket = "socket"

// A Manifest is what a stream says of itself.
type Manifest struct {
	// Format is that of the stream, of which this package knows one.
	Format int
	// Name and Created are those of the snapshot that was exported.
	Name    string
	Created time.Time
	Metadata
}

// Export writes a snapshot as one stream: a zstd-compressed tar of everything that the
// kernel keeps for each file, with a [Manifest] before and a digest after. It returns
// the digest, which depends on the tree and its metadata alone and not on the driver.
// Two exports of a snapshot are the same to the byte.
//
// Holes are written as zeros, which take next to nothing, and blocks of zeros become
// holes again when imported.
func (v *Volume) Export(ctx context.Context, name string, w io.Writer) (digest string, err error) {
	digest, err = v.export(ctx, name, w)
	return digest, wrap(Error{Op: "export", Path: v.store.dir, Volume: v.name, Snapshot: name}, err)
}

func (v *Volume) export(ctx context.Context, name string, w io.Writer) (string, error) {
	snap, err := v.Find(ctx, name)
	if err != nil {
		return "", err
	}
	dir, release, err := v.View(ctx, name)
	if err != nil {
		return "", err
	}
	defer release()
	root, err := os.Open(dir)
	if err != nil {
		return "", err
	}
	defer root.Close()
	z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return "", err
	}
	e := &exporter{ctx: ctx, sum: sha256.New(), tar: tar.NewWriter(z), links: map[inode]string{}}
	digest, err := e.all(root, Manifest{1, snap.Name, snap.Created, snap.Metadata})
	return digest, errors.Join(err, z.Close())
}

type exporter struct {
	ctx   context.Context
	tar   *tar.Writer
	sum   hash.Hash
	buf   [256 << 10]byte
	links map[inode]string // the first names of files that have several
}

func (e *exporter) all(root *os.File, m Manifest) (string, error) {
	text, err := json.Marshal(m)
	if err != nil {
		return "", err
	}
	if err := e.record(manifestEntry, text); err != nil {
		return "", err
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(root.Fd()), &st); err != nil {
		return "", err
	}
	if err := e.dir(root, treeEntry, &st); err != nil {
		return "", err
	}
	digest := hex.EncodeToString(e.sum.Sum(nil))
	if err := e.record(digestEntry, []byte(digest)); err != nil {
		return "", err
	}
	return digest, e.tar.Close()
}

func (e *exporter) record(name string, text []byte) error {
	h := &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o444, Size: int64(len(text)), ModTime: time.Unix(0, 0), Format: tar.FormatPAX}
	if err := e.write(h); err != nil {
		return err
	}
	_, err := io.MultiWriter(e.tar, e.sum).Write(text)
	return err
}

// dir writes a directory and what is in it.
func (e *exporter) dir(dir *os.File, name string, st *unix.Stat_t) error {
	if err := e.ctx.Err(); err != nil {
		return err
	}
	if err := e.header(headerOf(name+"/", tar.TypeDir, st), xattrsOfFile(int(dir.Fd()), dir.Name())); err != nil {
		return err
	}
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, n := range names {
		if err := e.entry(dir, n, path.Join(name, n)); err != nil {
			return err
		}
	}
	return nil
}

func (e *exporter) entry(dir *os.File, base, name string) error {
	st, there, err := statIn(dir, base, true)
	if err != nil || !there {
		return err
	}
	xattrs := xattrsOfName(dir, base, name)
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		sub, err := openDirIn(dir, base)
		if err != nil {
			return err
		}
		defer sub.Close()
		return e.dir(sub, name, &st)
	}
	if st.Nlink > 1 {
		key := inode{st.Dev, st.Ino}
		if first, met := e.links[key]; met {
			h := headerOf(name, tar.TypeLink, &st)
			h.Linkname = first
			return e.write(h)
		}
		e.links[key] = name
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return e.regular(dir, base, name)
	case unix.S_IFLNK:
		h := headerOf(name, tar.TypeSymlink, &st)
		if h.Linkname, err = readLinkAt(dir, base); err != nil {
			return err
		}
		return e.header(h, xattrs)
	case unix.S_IFIFO:
		return e.header(headerOf(name, tar.TypeFifo, &st), xattrs)
	case unix.S_IFCHR, unix.S_IFBLK:
		h := headerOf(name, tar.TypeChar, &st)
		if st.Mode&unix.S_IFMT == unix.S_IFBLK {
			h.Typeflag = tar.TypeBlock
		}
		h.Devmajor, h.Devminor = int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev))
		return e.header(h, xattrs)
	case unix.S_IFSOCK:
		h := headerOf(name, tar.TypeReg, &st)
		h.PAXRecords = map[string]string{paxType: typeSocket}
		return e.header(h, xattrs)
	}
	return fmt.Errorf("%s has mode %o: %w", name, st.Mode, ErrNotSupported)
}

func (e *exporter) regular(dir *os.File, base, name string) error {
	fd, err := openAt(dir, base, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	h := headerOf(name, tar.TypeReg, &st)
	h.Size = st.Size
	if err := e.header(h, xattrsOfFile(fd, name)); err != nil {
		return err
	}
	return e.content(fd, name, st.Size)
}

// content copies size bytes of an open file: what grew meanwhile is cut off, and what
// shrank is an error.
func (e *exporter) content(fd int, name string, size int64) error {
	for size > 0 {
		n, err := unix.Read(fd, e.buf[:min(size, int64(len(e.buf)))])
		if err == nil && n == 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return &os.PathError{Op: "read", Path: name, Err: err}
		}
		e.sum.Write(e.buf[:n])
		if _, err := e.tar.Write(e.buf[:n]); err != nil {
			return err
		}
		size -= int64(n)
	}
	return nil
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
	sumHeader(e.sum, h)
	if err := e.tar.WriteHeader(h); err != nil {
		return fmt.Errorf("%s: %w", filepath.Clean(h.Name), err)
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
