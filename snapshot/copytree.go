package snapshot

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// A copier copies one tree. Directories wait on a stack, so that it stays short, and
// are copied by as many workers as there are processors. Nothing else is kept but the
// files that have several names, until all their names have been met.
type copier struct {
	ctx      context.Context
	src, dst *os.File

	mu    sync.Mutex
	some  *sync.Cond // more on the stack, or nothing left to do
	stack []string   // directories that are to be copied, relative
	busy  int        // workers that may add to it
	err   error      // the first

	linksMu sync.Mutex
	links   map[inode]*link

	noClone atomic.Bool // the file system has no reflinks
}

// An inode tells files apart below one tree, nested subvolumes included.
type inode struct{ dev, ino uint64 }

// A link is a file with several names that has been copied, or is being copied until
// done is closed.
type link struct {
	path string // relative
	left uint64 // names not met yet
	done chan struct{}
	ok   bool
}

// copyTree makes dst, where nothing is, a copy of the directory src: contents, holes,
// owners, modes, times, extended attributes and with them ACLs and capabilities, hard
// links, symbolic links, devices, pipes and sockets. It does not follow mounts, and
// makes the copy durable.
func copyTree(ctx context.Context, dst, src string) (err error) {
	c := &copier{ctx: ctx, stack: []string{"."}, links: map[inode]*link{}}
	c.some = sync.NewCond(&c.mu)
	if c.src, err = os.OpenFile(src, unix.O_DIRECTORY|unix.O_NOFOLLOW, 0); err != nil {
		return err
	}
	defer c.src.Close()
	err = step(ctx, "make directory", func() error { return os.Mkdir(dst, 0o700) })
	if err != nil {
		return err
	}
	if c.dst, err = os.Open(dst); err != nil {
		return err
	}
	defer c.dst.Close()
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(c.work)
	}
	workers.Wait()
	if c.err != nil {
		return c.err
	}
	return unix.Syncfs(int(c.dst.Fd()))
}

// work copies directories until there is none left or something failed.
func (c *copier) work() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		for len(c.stack) == 0 && c.busy > 0 && c.err == nil {
			c.some.Wait()
		}
		if len(c.stack) == 0 || c.err != nil {
			c.some.Broadcast()
			return
		}
		dir := c.stack[len(c.stack)-1]
		c.stack = c.stack[:len(c.stack)-1]
		c.busy++
		c.mu.Unlock()
		err := c.copyDir(dir)
		c.mu.Lock()
		c.busy--
		if err != nil && c.err == nil {
			c.err = err
		}
		c.some.Broadcast()
	}
}

func (c *copier) push(dir string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stack = append(c.stack, dir)
	c.some.Signal()
}

// copyDir copies the entries of a directory that has been made, and then its own
// attributes, which the entries would have changed.
func (c *copier) copyDir(dir string) error {
	src, err := openSameMount(c.src, dir)
	if errors.Is(err, unix.EXDEV) {
		return nil // a mount point: what is mounted there is no part of the tree
	}
	if vanished(err) {
		return os.NewSyscallError("remove a directory that has gone", unix.Unlinkat(int(c.dst.Fd()), dir, unix.AT_REMOVEDIR))
	}
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := openBeneath(c.dst, dir)
	if err != nil {
		return err
	}
	defer dst.Close()
	for {
		entries, err := src.ReadDir(512)
		for _, e := range entries {
			if err := c.copyEntry(src, dst, dir, e.Name()); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || vanished(err) {
			break
		}
		if err != nil {
			return err
		}
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(src.Fd()), &st); err != nil {
		return &os.PathError{Op: "stat", Path: src.Name(), Err: err}
	}
	return copyAttributes(int(dst.Fd()), int(src.Fd()), &st, dst.Name())
}

func (c *copier) copyEntry(src, dst *os.File, dir, name string) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	var st unix.Stat_t
	err := unix.Fstatat(int(src.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return nil // removed since it was listed
	}
	if err != nil {
		return &os.PathError{Op: "stat", Path: filepath.Join(src.Name(), name), Err: err}
	}
	path := filepath.Join(dir, name)
	return step(c.ctx, "copy entry", func() error {
		if isDir(&st) {
			if err := unix.Mkdirat(int(dst.Fd()), name, 0o700); err != nil {
				return &os.PathError{Op: "mkdir", Path: path, Err: err}
			}
			c.push(path)
			return nil
		}
		if st.Nlink > 1 {
			return c.copyLinked(src, dst, path, &st)
		}
		return c.copyInode(src, dst, name, &st)
	})
}

// copyLinked copies a file when its first name is met and links the others to it.
func (c *copier) copyLinked(src, dst *os.File, path string, st *unix.Stat_t) error {
	name, key := filepath.Base(path), inode{st.Dev, st.Ino}
	c.linksMu.Lock()
	l, met := c.links[key]
	if !met {
		l = &link{path: path, left: uint64(st.Nlink), done: make(chan struct{})}
		c.links[key] = l
	}
	if l.left--; l.left == 0 {
		delete(c.links, key)
	}
	c.linksMu.Unlock()
	if !met {
		err := c.copyInode(src, dst, name, st)
		l.ok = err == nil
		close(l.done)
		return err
	}
	<-l.done
	if !l.ok {
		return nil // the worker that copied it reports why
	}
	err := unix.Linkat(int(c.dst.Fd()), l.path, int(dst.Fd()), name, 0)
	if errors.Is(err, unix.ENOENT) { // the other name was removed before it could be copied
		return c.copyInode(src, dst, name, st)
	}
	if err != nil {
		return &os.LinkError{Op: "link", Old: l.path, New: path, Err: err}
	}
	return nil
}
