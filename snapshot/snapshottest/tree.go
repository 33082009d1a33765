package snapshottest

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Furnish puts one of everything that a tree can hold into dir: a file of each kind
// and what the kernel keeps for it. What the file system refuses for want of support
// it leaves out. It needs root.
func Furnish(t testing.TB, dir string) {
	t.Helper()
	f := furnisher{t, dir}
	f.file("file", "content\n", 0o644)
	f.file("empty", "", 0o600)
	f.file("setuid", "#!", 0o755)
	f.must(os.Chown(f.at("setuid"), 12, 34))
	f.must(unix.Chmod(f.at("setuid"), 0o6755))
	f.file("strange \n\xff name", "x", 0o444)
	f.file("dir/sub/deep", strings.Repeat("0123456789abcdef", 1<<14), 0o640)
	f.must(unix.Chmod(f.at("dir"), 0o1777))
	f.must(unix.Chmod(f.at("dir/sub"), 0o2750))
	f.must(os.Link(f.at("file"), f.at("dir/hard")))
	f.must(os.Link(f.at("file"), f.at("hard")))
	f.must(os.Symlink("../../nowhere", f.at("link")))
	f.must(os.Symlink(strings.Repeat("x", 1500), f.at("dir/long link")))
	f.must(os.Lchown(f.at("link"), 56, 78))
	f.must(unix.Mkfifo(f.at("pipe"), 0o620))
	f.must(unix.Mknod(f.at("null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))))
	f.must(unix.Mknod(f.at("disk"), unix.S_IFBLK|0o660, int(unix.Mkdev(259, 70000))))
	f.must(unix.Mknod(f.at("socket"), unix.S_IFSOCK|0o755, 0))
	f.sparse("sparse", 5<<20)
	f.xattrs()
	f.must(os.MkdirAll(f.at("var/lib/empty"), 0o700))
	f.times()
}

type furnisher struct {
	t   testing.TB
	dir string
}

func (f furnisher) at(name string) string { return filepath.Join(f.dir, name) }

func (f furnisher) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f furnisher) file(name, text string, mode fs.FileMode) {
	f.t.Helper()
	f.must(os.MkdirAll(filepath.Dir(f.at(name)), 0o755))
	f.must(os.WriteFile(f.at(name), []byte(text), mode))
	f.must(os.Chmod(f.at(name), mode))
}

// sparse makes a file with a hole at either end.
func (f furnisher) sparse(name string, size int64) {
	f.t.Helper()
	file, err := os.Create(f.at(name))
	f.must(err)
	_, err = file.WriteAt([]byte("in the middle"), size/2)
	f.must(err)
	f.must(file.Truncate(size))
	f.must(file.Close())
}

// xattrs sets attributes of each name space: user, trusted, a capability, an ACL.
func (f furnisher) xattrs() {
	for _, x := range []struct{ file, name, value string }{
		{"file", "user.comment", "with \x00 in it"},
		{"dir", "user.large", strings.Repeat("v", 1000)},
		{"pipe", "trusted.note", "on a pipe"},
		{"link", "trusted.note", "on a link"},
		// cap_net_bind_service=ep, as linux/capability.h has it.
		{"setuid", "security.capability", "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"},
		// user::rwx user:100:r-x group::r-x mask::rwx other::---, as linux/posix_acl_xattr.h has it.
		{"dir/sub", "system.posix_acl_access", "\x02\x00\x00\x00" +
			"\x01\x00\x07\x00\xff\xff\xff\xff" + "\x02\x00\x05\x00\x64\x00\x00\x00" +
			"\x04\x00\x05\x00\xff\xff\xff\xff" + "\x10\x00\x07\x00\xff\xff\xff\xff" + "\x20\x00\x00\x00\xff\xff\xff\xff"},
	} {
		err := unix.Lsetxattr(f.at(x.file), x.name, []byte(x.value), 0)
		if err != nil && err != unix.EOPNOTSUPP && err != unix.EPERM {
			f.t.Fatalf("%s of %s: %v", x.name, x.file, err)
		}
	}
}

// times sets a different time for each file, the last first, with nanoseconds.
func (f furnisher) times() {
	var all []string
	f.must(filepath.WalkDir(f.dir, func(path string, _ fs.DirEntry, err error) error {
		all = append(all, path)
		return err
	}))
	at := time.Date(2001, 2, 3, 4, 5, 6, 123456789, time.UTC)
	for _, path := range slices.Backward(all) {
		at = at.Add(time.Hour + time.Nanosecond)
		ts := unix.NsecToTimespec(at.UnixNano())
		f.must(unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{ts, ts}, unix.AT_SYMLINK_NOFOLLOW))
	}
}

// Describe lists everything below dir, one line for each file, in order: path, kind and
// mode, owner, size, device, time of modification, number of names and the first of
// them, target, attributes, content and whether it has holes. Two trees are the same
// if their descriptions are.
func Describe(t testing.TB, dir string) []string {
	t.Helper()
	var lines []string
	first := map[uint64]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		line, err := describe(path, strings.TrimPrefix(path, dir+"/"), first)
		lines = append(lines, line)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func describe(path, name string, first map[uint64]string) (string, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return "", err
	}
	line := fmt.Sprintf("%q %o %d:%d %d.%09d", name, st.Mode, st.Uid, st.Gid, st.Mtim.Sec, st.Mtim.Nsec)
	kind := st.Mode & unix.S_IFMT
	if kind != unix.S_IFDIR && st.Nlink > 1 {
		if first[st.Ino] == "" {
			first[st.Ino] = name
		}
		line += fmt.Sprintf(" %d names, first %q", st.Nlink, first[st.Ino])
	}
	switch kind {
	case unix.S_IFREG:
		text, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		line += fmt.Sprintf(" %d bytes %x", len(text), sha256.Sum256(text))
		if st.Blocks*512 < st.Size/2 {
			line += " sparse"
		}
	case unix.S_IFLNK:
		target, err := os.Readlink(path)
		if err != nil {
			return "", err
		}
		line += " -> " + strconv.Quote(target)
	case unix.S_IFCHR, unix.S_IFBLK:
		line += fmt.Sprintf(" device %d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
	}
	attributes, err := xattrs(path)
	return line + attributes, err
}

func xattrs(path string) (string, error) {
	buf := make([]byte, 64<<10)
	n, err := unix.Llistxattr(path, buf)
	if err != nil {
		return "", err
	}
	names := strings.FieldsFunc(string(buf[:n]), func(r rune) bool { return r == 0 })
	slices.Sort(names)
	var line strings.Builder
	for _, name := range names {
		value := make([]byte, 64<<10)
		n, err := unix.Lgetxattr(path, name, value)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&line, " %s=%q", name, value[:n])
	}
	return line.String(), nil
}
