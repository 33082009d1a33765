package nspawn

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/prologin/rig/internal/intree"
)

// tree is the machine's files: as it sees them itself while it runs, with all
// that is mounted in it, and its root directory once it has ended.
func (m *Machine) tree() (*intree.Tree, error) {
	l, err := m.leaderNow()
	if err != nil {
		return intree.Open(m.Root())
	}
	t, err := intree.Open(fmt.Sprintf("/proc/%d/root", l.pid))
	if err != nil || !l.fd.ended() {
		return t, err
	}
	// The process ID may have become another's, whose files are the host's.
	t.Close()
	return intree.Open(m.Root())
}

// withTree does one thing with the machine's files, as the machine's root.
func (m *Machine) withTree(op, name string, do func(*intree.Tree, owners) error) error {
	t, err := m.tree()
	if err == nil {
		defer t.Close()
		var o owners
		if o, err = m.owners(t); err == nil {
			err = o.asRoot(func() error { return do(t, o) })
		}
	}
	if err != nil {
		return &Error{Op: op + " " + name + " in", Machine: m.Name(), Err: err}
	}
	return nil
}

// ReadFile returns the content of a regular file in the machine. The name is
// the machine's: links are followed as the machine would, and lead nowhere else.
// It works on a machine that has ended, too.
func (m *Machine) ReadFile(name string) (data []byte, err error) {
	err = m.withTree("read", name, func(t *intree.Tree, _ owners) error {
		data, err = t.ReadFile(name)
		return err
	})
	return data, err
}

// WriteFile replaces or makes a regular file in the machine, owned by its root:
// whoever looks finds the old content or the new. A link called name is replaced
// and not followed. Its directory has to exist.
func (m *Machine) WriteFile(name string, data []byte, perm fs.FileMode) error {
	return m.WriteFileAs("", name, data, perm)
}

// WriteFileAs is WriteFile for a file of another owner, written USER or
// USER:GROUP by name or number, as in the machine's /etc/passwd and /etc/group.
// Without a group it is the user's own. An unknown name matches ErrNotFound, and a
// number that no user of the machine can have ErrInvalid.
func (m *Machine) WriteFileAs(owner, name string, data []byte, perm fs.FileMode) error {
	return m.withTree("write", name, func(t *intree.Tree, o owners) error {
		uid, gid, err := o.find(t, owner)
		if err != nil {
			return err
		}
		return t.WriteFileOwned(name, data, perm, uid, gid)
	})
}

// AppendFile writes at the end of a regular file in the machine, which is made
// with mode perm, less the umask, where it is missing. Links are followed as the
// machine would. Unlike WriteFile it is not atomic.
func (m *Machine) AppendFile(name string, data []byte, perm fs.FileMode) error {
	return m.withTree("append to", name, func(t *intree.Tree, _ owners) error {
		file, err := t.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, perm)
		if err != nil {
			return err
		}
		_, err = file.Write(data)
		return errors.Join(err, file.Close())
	})
}

// CopyIn copies a file or directory of the host to name in the machine, with
// modes, times, extended attributes and hard links. Copies belong to owner,
// written as for WriteFileAs; empty keeps the numbers that the host has, and makes
// those nobody's that no user of the machine can have. Where name is a directory,
// a directory is merged into it. Links are copied and not
// followed; sockets, fifos and device nodes are left out. The end of the context
// ends the copying half-way.
func (m *Machine) CopyIn(ctx context.Context, source, name, owner string) error {
	return m.withTree("copy "+source+" to", name, func(t *intree.Tree, o owners) error {
		from, base, err := openParent(source)
		if err != nil {
			return err
		}
		defer from.Close()
		give := o.add
		if owner != "" {
			uid, gid, err := o.find(t, owner)
			if err != nil {
				return err
			}
			give = func(uint32, uint32) (int, int) { return uid, gid }
		}
		return t.CopyFrom(ctx, name, from, base, give)
	})
}

// CopyOut copies a file or directory of the machine to a path of the host, in
// the same way; the copies belong to who runs this program. Nothing is made
// outside of target, whatever the machine does meanwhile.
func (m *Machine) CopyOut(ctx context.Context, name, target string) error {
	t, err := m.tree()
	if err == nil {
		defer t.Close()
		err = copyOut(ctx, t, name, target)
	}
	if err != nil {
		return &Error{Op: "copy " + name + " to " + target + " from", Machine: m.Name(), Err: err}
	}
	return nil
}

func copyOut(ctx context.Context, t *intree.Tree, name, target string) error {
	to, base, err := openParent(target)
	if err != nil {
		return err
	}
	defer to.Close()
	mine := func(uint32, uint32) (int, int) { return os.Geteuid(), os.Getegid() }
	return to.CopyFrom(ctx, base, t, name, mine)
}

// openParent opens the host's directory that holds a path.
func openParent(path string) (dir *intree.Tree, base string, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, "", err
	}
	dir, err = intree.Open(filepath.Dir(path))
	return dir, filepath.Base(path), err
}
