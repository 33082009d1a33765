package archboot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/prologin/rig/internal/intree"
	"golang.org/x/sys/unix"
)

// Clone makes the empty directory root a copy of base, a finished root or a snapshot
// of one, with an identity of its own. On btrfs, where base is a subvolume of the same
// file system, root becomes a snapshot of it, which takes milliseconds; elsewhere it
// is copied file by file, sharing the data where the file system can (reflinks).
//
// It needs root privileges, and cp(1) to copy. Subvolumes nested in base are empty
// directories in a snapshot; Bootstrap makes none. base must not change meanwhile.
// When Clone fails or the context ends, root is empty again; a killed Clone leaves
// nothing that is ever taken for a root. Errors are those of [Bootstrap], and
// [ErrIncomplete] where base is not finished.
func Clone(ctx context.Context, base, root string, id Identity) error {
	return wrap("clone", root, clone(ctx, base, root, id))
}

func clone(ctx context.Context, base, root string, id Identity) error {
	hash, err := id.prepare(ctx)
	if err == nil && os.Geteuid() != 0 {
		err = fmt.Errorf("%w: run it as root", fs.ErrPermission)
	}
	if err != nil {
		return err
	}
	claimed, err := claimRoot(root)
	if err != nil {
		return err
	}
	return claimed.settleClone(ctx, base, func(t *intree.Tree) error { return id.apply(t, hash) })
}

// settleClone fills the claimed root with a clone of base and calls settle on it,
// before it is where others look. It gives up the claim.
func (c *claim) settleClone(ctx context.Context, base string, settle func(*intree.Tree) error) error {
	base, err := c.resolveBase(base)
	if err == nil {
		err = c.trySnapshot(ctx, base, settle)
	}
	if errors.Is(err, errNoSnapshot) {
		err = c.copyBase(ctx, base, settle)
		if err == nil {
			return c.finish()
		}
	}
	if err == nil {
		return unlock(c.dir)
	}
	return errors.Join(err, c.abandon())
}

// resolveBase checks that base can be cloned to the root.
func (c *claim) resolveBase(base string) (string, error) {
	path, err := resolveRoot(base)
	if err != nil {
		return "", fmt.Errorf("base: %w", err)
	}
	if strings.HasPrefix(c.path+"/", path+"/") {
		return "", fmt.Errorf("%w: %s is in its own base %s", ErrInvalid, c.path, path)
	}
	t, err := openFinished(path)
	if err != nil {
		return "", fmt.Errorf("base %s: %w", path, err)
	}
	return path, t.Close()
}

// errNoSnapshot says that the tree has to be copied.
var errNoSnapshot = errors.New("no snapshot can be made")

// trySnapshot makes a snapshot of base beside the root, settles it, and puts it in the
// root's place.
func (c *claim) trySnapshot(ctx context.Context, base string, settle func(*intree.Tree) error) error {
	fresh := c.cloneName()
	if err := snapshot(base, fresh); err != nil {
		return fmt.Errorf("%w: %w", errNoSnapshot, err)
	}
	err := settleTree(ctx, fresh, settle)
	if err == nil {
		err = unix.Renameat2(unix.AT_FDCWD, fresh, unix.AT_FDCWD, c.path, unix.RENAME_EXCHANGE)
		if err == unix.EBUSY || err == unix.EINVAL || err == unix.EXDEV { // the root is a mount point
			err = fmt.Errorf("%w: %w", errNoSnapshot, err)
		}
	}
	if err != nil {
		return errors.Join(err, destroy(fresh))
	}
	// What was the root has this name now: nothing but the marker is in it.
	return os.RemoveAll(fresh)
}

func settleTree(ctx context.Context, dir string, settle func(*intree.Tree) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	t, err := openTree(dir)
	if err != nil {
		return err
	}
	defer t.Close()
	return settle(t)
}

// cloneName is where a snapshot is until it takes the root's place.
func (c *claim) cloneName() string {
	return filepath.Join(filepath.Dir(c.path), ".archboot-clone."+filepath.Base(c.path))
}

// sweepClone removes what a killed Clone left beside the root: its snapshot, or the
// directory that the root was before.
func (c *claim) sweepClone() error {
	left := c.cloneName()
	if !exists(left) {
		return nil
	}
	if err := destroy(left); err == nil {
		return nil
	}
	return os.RemoveAll(left) // which follows no symlink: others may write beside the root
}

// copyBase copies base into the root, which has the marker until that is done.
func (c *claim) copyBase(ctx context.Context, base string, settle func(*intree.Tree) error) error {
	if err := needPrograms("cp"); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "cp", "--archive", "--reflink=auto", "--no-target-directory", "--", base, c.path)
	cmd.Env = environment()
	// It must not go on when we are killed; the signal is sent when the thread ends.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var last tail
	cmd.Stderr = &last
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if strings.Contains(last.String(), unix.ENOSPC.Error()) || strings.Contains(last.String(), "No space left on device") {
			err = fmt.Errorf("%w: %w", ErrNoSpace, err)
		}
		return &Error{Op: "copy " + base, Root: c.path, Err: err, Output: last.lines}
	}
	return settleTree(ctx, c.path, settle)
}

// clone makes the root from the Config's base: the packages are those of the base, the
// settings those of the Config.
func (b *builder) clone(ctx context.Context, c *claim, hash string) error {
	b.step("clone " + b.config.Source.Base)
	return c.settleClone(ctx, b.config.Source.Base, func(t *intree.Tree) error {
		if err := b.baseFits(t); err != nil {
			return err
		}
		b.step("write settings")
		return errors.Join(replaceHostname(t, b.config.Hostname), newSeed(t), removeHostKeys(t), b.settle(ctx, t, hash))
	})
}

// baseFits finds out whether a base has what a Config wants and a clone cannot add.
func (b *builder) baseFits(t *intree.Tree) error {
	root, err := os.OpenRoot(t.Dir())
	if err != nil {
		return err
	}
	defer root.Close()
	have, err := provided(root)
	if err != nil {
		return err
	}
	var lacking []string
	for _, name := range b.config.Packages {
		if name = name[strings.LastIndexByte(name, '/')+1:]; !have[name] {
			lacking = append(lacking, name)
		}
	}
	if len(lacking) > 0 {
		return fmt.Errorf("%w: the base %s has no %s: make one that has, or install it afterwards",
			ErrUnknownPackage, b.config.Source.Base, strings.Join(lacking, "; "))
	}
	const file = "/etc/locale.conf"
	data, err := t.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if want := "LANG=" + b.config.Locale; !slices.Contains(strings.Split(string(data), "\n"), want) {
		return fmt.Errorf("%w: the base %s has another locale than %s", ErrInvalid, b.config.Source.Base, b.config.Locale)
	}
	return nil
}
