package snapshot

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"os"
	"path"
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

// What paxType says.
const (
	typeSocket  = "socket"
	typeRemoved = "removed" // of the snapshot that the stream is the difference from
)

// A Manifest is what a stream says of itself.
type Manifest struct {
	// Format is that of the stream: 1, or 2 for one that has a Since.
	Format int
	// Name, ID and Created are those of the snapshot that was exported.
	Name    string
	ID      string `json:",omitempty"`
	Created time.Time
	Metadata
	// Since is the ID of the snapshot that the stream has the difference from, or
	// empty if it has everything.
	Since string `json:",omitempty"`
}

// ExportOptions says what goes into a stream. The zero value is the whole snapshot.
type ExportOptions struct {
	// Since names an older snapshot of the volume: only what differs from it is
	// written. [Volume.Import] makes the snapshot of that, in a volume that has a
	// copy of the older one. Nothing of the trees is compared by times alone, so that
	// whatever the file system cannot tell to be the same is read; files with several
	// names are always written.
	Since string
	// Progress, if given, is called for every file and every quarter MiB of it, by
	// the goroutine that exports, with how many files have been met and how many
	// bytes of them been read.
	Progress func(entries, bytes int64)
}

// Export writes a snapshot as one stream: a zstd-compressed tar of everything that the
// kernel keeps for each file but its flags, chattr(1), and times other than that of its
// last change, with a [Manifest] before and a digest after. It returns
// the digest, which depends on the tree and its metadata alone and not on the driver.
// Two exports of a snapshot are the same to the byte.
//
// Holes are written as zeros, which take next to nothing, and blocks of zeros become
// holes again when imported.
func (v *Volume) Export(ctx context.Context, name string, w io.Writer, opts ExportOptions) (digest string, err error) {
	if opts.Since == "" {
		digest, err = v.exportWhole(ctx, name, w, opts)
	} else {
		digest, err = v.exportSince(ctx, name, w, opts)
	}
	return digest, wrap(Error{Op: "export", Path: v.store.dir, Volume: v.name, Snapshot: name}, err)
}

func (v *Volume) exportWhole(ctx context.Context, name string, w io.Writer, opts ExportOptions) (string, error) {
	snap, err := v.Find(ctx, name)
	if err != nil {
		return "", err
	}
	root, _, done, err := v.side(ctx, name)
	if err != nil {
		return "", err
	}
	defer done()
	return exportTo(ctx, w, opts, snap.manifest(), func(e *exporter) error {
		var st unix.Stat_t
		if err := unix.Fstat(int(root.Fd()), &st); err != nil {
			return err
		}
		return e.dir(root, treeEntry, &st)
	})
}

func (s Snapshot) manifest() Manifest {
	return Manifest{Format: 1, Name: s.Name, ID: s.ID, Created: s.Created, Metadata: s.Metadata}
}

// exportTo writes a stream around the entries that tree writes, and returns its digest.
func exportTo(ctx context.Context, w io.Writer, opts ExportOptions, m Manifest, tree func(*exporter) error) (string, error) {
	z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return "", err
	}
	e := &exporter{ctx: ctx, sum: sha256.New(), tar: tar.NewWriter(z), links: map[inode]*exportedLink{}}
	e.done.report = opts.Progress
	digest, err := e.all(m, tree)
	return digest, errors.Join(err, z.Close())
}

type exporter struct {
	ctx   context.Context
	tar   *tar.Writer
	sum   hash.Hash
	buf   [256 << 10]byte
	links map[inode]*exportedLink
	done  tally
}

// An exportedLink is a file with several names that has been written.
type exportedLink struct {
	first string
	left  uint64 // names not met yet
}

func (e *exporter) all(m Manifest, tree func(*exporter) error) (string, error) {
	text, err := json.Marshal(m)
	if err != nil {
		return "", err
	}
	if err := e.record(manifestEntry, text); err != nil {
		return "", err
	}
	if err := tree(e); err != nil {
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
	if err := e.header(headerOf(name+"/", tar.TypeDir, st), xattrsOfFile(int(dir.Fd()), dir.Name())); err != nil {
		return err
	}
	for n, err := range sortedNames(dir) {
		if err == nil {
			err = e.entry(dir, n, path.Join(name, n))
		}
		if err != nil {
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
	if isDir(&st) {
		sub, err := openDirIn(dir, base)
		if err != nil {
			return err
		}
		defer sub.Close()
		return e.dir(sub, name, &st)
	}
	return e.file(dir, base, name, &st)
}

// file writes what is no directory.
func (e *exporter) file(dir *os.File, base, name string, st *unix.Stat_t) error {
	if first, met := e.linked(name, st); met {
		h := headerOf(name, tar.TypeLink, st)
		h.Linkname = first
		return e.write(h)
	}
	if st.Mode&unix.S_IFMT == unix.S_IFREG {
		return e.regular(dir, base, name)
	}
	h, err := specialHeader(dir, base, name, st)
	if err != nil {
		return err
	}
	return e.header(h, xattrsOfName(dir, base, name))
}

// linked returns the first name of a file, if it has been met under another.
func (e *exporter) linked(name string, st *unix.Stat_t) (first string, met bool) {
	if st.Nlink < 2 {
		return "", false
	}
	key := inode{st.Dev, st.Ino}
	l, met := e.links[key]
	if !met {
		l = &exportedLink{name, uint64(st.Nlink)}
		e.links[key] = l
	}
	if l.left--; l.left == 0 {
		delete(e.links, key)
	}
	return l.first, met
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
		if err := e.ctx.Err(); err != nil {
			return err
		}
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
		e.done.add(0, int64(n))
	}
	return nil
}
