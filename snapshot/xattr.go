package snapshot

import (
	"bytes"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// An xattrSet is the extended attributes of one file, ACLs and capabilities among
// them, of an open file or of a name.
type xattrSet struct {
	path string // for errors
	list func(names []byte) (int, error)
	get  func(name string, value []byte) (int, error)
	set  func(name string, value []byte) error
	del  func(name string) error
}

func xattrsOfFile(fd int, path string) xattrSet {
	return xattrSet{path,
		func(names []byte) (int, error) { return unix.Flistxattr(fd, names) },
		func(name string, value []byte) (int, error) { return unix.Fgetxattr(fd, name, value) },
		func(name string, value []byte) error { return unix.Fsetxattr(fd, name, value, 0) },
		func(name string) error { return unix.Fremovexattr(fd, name) },
	}
}

// xattrsOfName does not follow a symbolic link of that name.
func xattrsOfName(dir *os.File, name, path string) xattrSet {
	at := fdPath(dir) + "/" + name
	return xattrSet{path,
		func(names []byte) (int, error) { return unix.Llistxattr(at, names) },
		func(name string, value []byte) (int, error) { return unix.Lgetxattr(at, name, value) },
		func(name string, value []byte) error { return unix.Lsetxattr(at, name, value, 0) },
		func(name string) error { return unix.Lremovexattr(at, name) },
	}
}

// names lists the attributes: none where the file system knows none.
func (x xattrSet) names() ([]string, error) {
	buf, err := grown(x.list)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return nil, nil
	}
	if err != nil {
		return nil, &os.PathError{Op: "listxattr", Path: x.path, Err: err}
	}
	var names []string
	for name := range bytes.SplitSeq(buf, []byte{0}) {
		if len(name) > 0 {
			names = append(names, string(name))
		}
	}
	return names, nil
}

// value returns an attribute, and false if it has gone.
func (x xattrSet) value(name string) ([]byte, bool, error) {
	value, err := grown(func(buf []byte) (int, error) { return x.get(name, buf) })
	if errors.Is(err, unix.ENODATA) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, &os.PathError{Op: "getxattr " + name, Path: x.path, Err: err}
	}
	return value, true, nil
}

// grown calls get with a buffer that is large enough, asking for the size only when a
// small one is not.
func grown(get func([]byte) (int, error)) ([]byte, error) {
	for buf := make([]byte, 256); ; {
		n, err := get(buf)
		if err == nil {
			return buf[:n], nil
		}
		if !errors.Is(err, unix.ERANGE) {
			return nil, err
		}
		if n, err = get(nil); err != nil {
			return nil, err
		}
		buf = make([]byte, n+256)
	}
}

// all returns the attributes by name.
func (x xattrSet) all() (map[string]string, error) {
	names, err := x.names()
	if err != nil || len(names) == 0 {
		return nil, err
	}
	values := make(map[string]string, len(names))
	for _, name := range names {
		value, ok, err := x.value(name)
		if err != nil {
			return nil, err
		}
		if ok {
			values[name] = string(value)
		}
	}
	return values, nil
}

func (x xattrSet) setAll(attrs map[string]string) error {
	for name, value := range attrs {
		if err := x.set(name, []byte(value)); err != nil {
			return &os.PathError{Op: "setxattr " + name, Path: x.path, Err: err}
		}
	}
	return nil
}

// removeOthers removes the attributes that are not in attrs, but for the label of a
// security module, which every file has.
func (x xattrSet) removeOthers(attrs map[string]string) error {
	names, err := x.names()
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, wanted := attrs[name]; wanted || name == "security.selinux" {
			continue
		}
		if err := x.del(name); err != nil && !errors.Is(err, unix.ENODATA) {
			return &os.PathError{Op: "removexattr " + name, Path: x.path, Err: err}
		}
	}
	return nil
}
