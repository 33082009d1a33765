package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// Overlay returns the driver that makes trees stacks of layers, mounted by overlayfs
// at the volumes' paths, for file systems without snapshots of their own. To freeze a
// tree is to put an empty layer on top of it. Where something uses the volume that
// cannot be done under it, and its topmost layer is copied instead: stop or freeze
// the writer first. A stack that gets too high is copied into a single layer.
//
// A file with several names becomes several files when one of the names is written
// to after a snapshot: that is how overlayfs is.
//
// The mounts are made again when the store is opened after a reboot.
func Overlay() Driver { return overlayDriver{new(sync.WaitGroup)} }

// An overlayDriver lets the kernel tidy up behind it: see unmount.
type overlayDriver struct{ closing *sync.WaitGroup }

// maxLayers is how high a stack may get: overlayfs looks into each layer for each
// name, and the kernel takes one page of mount options.
const maxLayers = 24

func (overlayDriver) Name() string { return "overlay" }

func (overlayDriver) Capabilities() Capabilities {
	return Capabilities{Instant: true, Shared: true, Exclusive: true}
}

// Probe mounts a stack, since whether it works depends on the kernel and on the file
// system below: overlayfs does not stand on itself, for one.
func (overlayDriver) Probe(ctx context.Context, scratch string) error {
	if err := needsRoot(); err != nil {
		return err
	}
	l := layers(scratch)
	s := stack{upper: "upper", lower: []string{"lower"}}
	if err := errors.Join(l.make(s.upper), l.make(s.lower[0])); err != nil {
		return err
	}
	if err := step(ctx, "try to mount", func() error { return l.tryMount(s) }); err != nil {
		return fmt.Errorf("%w: %w", ErrNotSupported, err)
	}
	return nil
}

func (overlayDriver) Create(ctx context.Context, path string) error {
	l := layersOf(path)
	empty, upper := newLayer(), newLayer()
	err := step(ctx, "make layers", func() error { return errors.Join(l.make(empty), l.make(upper)) })
	if err != nil {
		return err
	}
	return writeStack(ctx, path, stack{upper, []string{empty}})
}

// Freeze puts an empty layer on top of the placed tree src, and makes dst the stack
// below it.
func (d overlayDriver) Freeze(ctx context.Context, dst, src string) error {
	l := layersOf(src)
	s, err := readStack(stackOf(src))
	if err != nil {
		return err
	}
	if stackOf(src) == src { // is not placed: nobody can be there
		return d.freeze(ctx, dst, src, s, func(context.Context, string) error { return nil })
	}
	if used, err := d.suspend(src); err != nil {
		return err
	} else if used {
		return l.freezeCopy(ctx, dst, src, s)
	}
	return d.freeze(ctx, dst, src, s, d.Settle)
}

func (overlayDriver) freeze(ctx context.Context, dst, src string, s stack, settle func(context.Context, string) error) (err error) {
	l := layersOf(src)
	frozen := stack{lower: append([]string{s.upper}, s.lower...)}
	if len(frozen.lower) >= maxLayers {
		if frozen, err = l.collapse(ctx, frozen); err != nil {
			return errors.Join(err, settle(ctx, src))
		}
	}
	next := stack{newLayer(), frozen.lower}
	err = l.onTop(ctx, next)
	if err == nil {
		err = writeStack(ctx, dst, frozen)
	}
	if err == nil {
		err = replaceStack(ctx, stackOf(src), next)
	}
	return errors.Join(err, settle(ctx, src))
}

// suspend unmounts a tree so that nobody can write to what is about to be frozen, or
// reports that somebody uses it. What is in memory of it is written out before: the
// snapshot might outlive a power cut that its files did not.
func (d overlayDriver) suspend(path string) (used bool, err error) {
	users, err := usersOf(path)
	if err != nil || len(users) > 0 {
		return true, err
	}
	if err := flush(string(layersOf(path))); err != nil {
		return false, err
	}
	err = d.unmount(path, 0)
	if errors.Is(err, unix.EBUSY) {
		return true, nil
	}
	return false, err
}

// unmount unmounts a volume, if it is mounted. With the last mount of an overlay the
// kernel forgets every file that was looked at in it, which takes long if there are
// many: a copy of the mount that nobody sees keeps it, until that is done on the side.
func (d overlayDriver) unmount(path string, flags int) error {
	held, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err == nil {
		defer d.closing.Go(func() { _ = unix.Close(held) })
	}
	err = unix.Unmount(path, flags|unix.UMOUNT_NOFOLLOW)
	if err == nil || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) { // is not mounted
		return nil
	}
	return &os.PathError{Op: "unmount", Path: path, Err: err}
}

// Close waits for what is done on the side.
func (d overlayDriver) Close() error {
	d.closing.Wait()
	return nil
}

// freezeCopy makes dst a stack with a copy of the layer that src is writing to.
func (l layers) freezeCopy(ctx context.Context, dst, src string, s stack) error {
	if err := flush(src); err != nil {
		return err
	}
	top := newLayer()
	err := step(ctx, "make layer", func() error { return os.MkdirAll(l.path(top), 0o700) })
	if err == nil {
		err = copyTree(ctx, l.diff(top), l.diff(s.upper))
	}
	frozen := stack{lower: append([]string{top}, s.lower...)}
	if err == nil && len(frozen.lower) >= maxLayers {
		frozen, err = l.collapse(ctx, frozen)
	}
	if err != nil {
		return err
	}
	return writeStack(ctx, dst, frozen)
}

func (overlayDriver) Thaw(ctx context.Context, dst, src string) error {
	frozen, err := readStack(src)
	if err != nil {
		return err
	}
	s := stack{newLayer(), frozen.lower}
	if err := layersOf(src).onTop(ctx, s); err != nil {
		return err
	}
	return writeStack(ctx, dst, s)
}

// Remove forgets a stack, and removes the layers that no other has.
func (overlayDriver) Remove(ctx context.Context, path string) error {
	err := step(ctx, "remove stack", func() error { return os.Remove(path) })
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return layersOf(path).sweep(ctx)
}

// Place shows the stack as that of the volume first, which is the step that counts:
// Settle can do the rest again.
func (d overlayDriver) Place(ctx context.Context, tree, path string) error {
	if taken, err := present(path); err != nil {
		return err
	} else if taken {
		return &os.PathError{Op: "place", Path: path, Err: unix.EEXIST}
	}
	err := step(ctx, "make directory", func() error { return os.MkdirAll(filepath.Dir(stackOf(path)), 0o700) })
	if err == nil {
		err = rename(ctx, tree, stackOf(path), unix.RENAME_NOREPLACE)
	}
	if err != nil {
		return err
	}
	return d.Settle(ctx, path)
}

// Withdraw hides the stack last, for the same reason.
func (d overlayDriver) Withdraw(ctx context.Context, path, tree string) error {
	if err := d.detach(ctx, path); err != nil {
		return err
	}
	err := step(ctx, "remove mount point", func() error { return os.Remove(path) })
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return rename(ctx, stackOf(path), tree, unix.RENAME_NOREPLACE)
}

// detach unmounts a tree that is given up; who still is in it keeps what it has.
func (d overlayDriver) detach(ctx context.Context, path string) error {
	return step(ctx, "unmount", func() error { return d.unmount(path, unix.MNT_DETACH) })
}

func (d overlayDriver) Swap(ctx context.Context, tree, path string) error {
	if err := rename(ctx, tree, stackOf(path), unix.RENAME_EXCHANGE); err != nil {
		return err
	}
	return d.Settle(ctx, path)
}

// Settle mounts the volume's stack if it is not what is mounted.
func (d overlayDriver) Settle(ctx context.Context, path string) error {
	s, err := readStack(stackOf(path))
	if err != nil {
		return err
	}
	mounts, err := mountinfo.GetMounts(mountinfo.SingleEntryFilter(path))
	if err != nil {
		return err
	}
	for _, m := range mounts {
		if strings.Contains(m.VFSOptions, "/"+s.upper+"/") {
			return nil
		}
		if err := d.detach(ctx, path); err != nil {
			return err
		}
	}
	err = step(ctx, "make mount point", func() error { return os.Mkdir(path, 0o755) })
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return step(ctx, "mount", func() error { return layersOf(path).mount(s, path) })
}

// Identity is the layer that only this tree writes to, or that is topmost.
func (overlayDriver) Identity(path string) (string, error) {
	s, err := readStack(stackOf(path))
	if err != nil {
		return "", err
	}
	return s.upper, nil
}

// View mounts a stack that is not placed where nobody looks.
func (overlayDriver) View(_ context.Context, path string) (string, func() error, error) {
	s, err := readStack(stackOf(path))
	if err != nil {
		return "", nil, err
	}
	if stackOf(path) != path {
		return path, func() error { return nil }, nil
	}
	return layersOf(path).view(s)
}

// Layers are where the files are.
func (overlayDriver) Layers(path string) (map[string]bool, error) {
	s, err := readStack(stackOf(path))
	if err != nil {
		return nil, err
	}
	l := layersOf(path)
	used, err := l.used()
	dirs := map[string]bool{}
	for _, name := range s.names() {
		dirs[l.diff(name)] = used[name] > 1
	}
	return dirs, err
}
