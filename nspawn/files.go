package nspawn

import (
	"fmt"
	"io/fs"

	"github.com/prologin/rig/internal/intree"
)

// tree is the machine's files: as it sees them itself while it runs, with all
// that is mounted in it, and its root directory once it has ended.
func (m *Machine) tree() (*intree.Tree, error) {
	if l, err := m.leaderNow(); err == nil {
		return intree.Open(fmt.Sprintf("/proc/%d/root", l.pid))
	}
	return intree.Open(m.Root())
}

// withTree does one thing with the machine's files.
func (m *Machine) withTree(op, name string, do func(*intree.Tree) error) error {
	t, err := m.tree()
	if err == nil {
		defer t.Close()
		err = do(t)
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
	err = m.withTree("read", name, func(t *intree.Tree) error {
		data, err = t.ReadFile(name)
		return err
	})
	return data, err
}

// WriteFile replaces or makes a regular file in the machine: whoever looks
// finds the old content or the new. Its directory has to exist.
func (m *Machine) WriteFile(name string, data []byte, perm fs.FileMode) error {
	return m.withTree("write", name, func(t *intree.Tree) error { return t.WriteFile(name, data, perm) })
}
