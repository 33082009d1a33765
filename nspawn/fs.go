package nspawn

import (
	"fmt"
	"io/fs"
	"os"

	"github.com/prologin/rig/internal/intree"
)

// MkdirAll makes a directory in the machine, and those above it.
func (m *Machine) MkdirAll(name string, perm fs.FileMode) error {
	return m.withTree("make directory", name, func(t *intree.Tree, _ owners) error { return t.MkdirAll(name, perm) })
}

// Remove removes a file, a link or an empty directory of the machine. That there
// is none matches fs.ErrNotExist.
func (m *Machine) Remove(name string) error {
	return m.withTree("remove", name, func(t *intree.Tree, _ owners) error { return t.Remove(name) })
}

// RemoveAll removes a file or directory of the machine with all that is in it.
// That there is none is fine.
func (m *Machine) RemoveAll(name string) error {
	return m.withTree("remove", name, func(t *intree.Tree, _ owners) error { return t.RemoveAll(name) })
}

// Symlink makes a link in the machine, whose target means what it means there.
func (m *Machine) Symlink(target, name string) error {
	return m.withTree("link", name, func(t *intree.Tree, _ owners) error { return t.Symlink(target, name) })
}

// Chown gives a file, directory or link of the machine, not what a link leads
// to, another owner, written as for WriteFileAs.
func (m *Machine) Chown(name, owner string) error {
	return m.withTree("change the owner of", name, func(t *intree.Tree, o owners) error {
		uid, gid, err := o.find(t, owner)
		if err != nil {
			return err
		}
		return t.Chown(name, uid, gid)
	})
}

// Stat describes a file of the machine, following links as the machine would.
func (m *Machine) Stat(name string) (info fs.FileInfo, err error) {
	err = m.withTree("look at", name, func(t *intree.Tree, _ owners) error {
		info, err = t.Stat(name)
		return err
	})
	return info, err
}

// FS is the machine's files for reading, as fs.WalkDir and fs.ReadFile take
// them. Names have no leading slash.
func (m *Machine) FS() fs.FS { return machineFS{m} }

type machineFS struct{ m *Machine }

// Open opens a regular file or a directory; anything else is refused.
func (f machineFS) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	t, err := f.m.tree()
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	defer t.Close()
	var file *os.File
	info, err := t.Stat("/" + name)
	switch {
	case err != nil:
	case info.IsDir():
		return openDir(f.m, t, name, info)
	default:
		file, err = t.Open("/" + name)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return openFile{file, info}, nil
}

func openDir(m *Machine, t *intree.Tree, name string, info fs.FileInfo) (fs.File, error) {
	handle, _, err := t.Parent("/" + name + "/any")
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	defer handle.Close()
	dir, err := os.Open(fmt.Sprintf("/proc/self/fd/%d/.", handle.Fd()))
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return openDirectory{openFile{dir, info}, m, name}, nil
}

// openDirectory looks at its entries as the machine would.
type openDirectory struct {
	openFile
	m    *Machine
	name string
}

func (d openDirectory) ReadDir(n int) ([]fs.DirEntry, error) {
	entries, err := d.openFile.ReadDir(n)
	for i, entry := range entries {
		entries[i] = dirEntry{entry, d}
	}
	return entries, err
}

// dirEntry is an entry of which more can be asked when its directory is closed.
type dirEntry struct {
	fs.DirEntry
	dir openDirectory
}

func (e dirEntry) Info() (fs.FileInfo, error) {
	t, err := e.dir.m.tree()
	if err != nil {
		return nil, err
	}
	defer t.Close()
	return t.Lstat("/" + e.dir.name + "/" + e.Name())
}

// openFile names itself as it is named in the machine.
type openFile struct {
	*os.File
	info fs.FileInfo
}

func (f openFile) Stat() (fs.FileInfo, error) { return f.info, nil }
