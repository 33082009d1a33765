package archboot

import (
	"context"
	"errors"
	"fmt"

	"github.com/prologin/rig/internal/intree"
)

// Install installs packages in a finished root and, as Arch knows no partial
// upgrades, brings the others up to date. Packages that are there stay as they are.
//
// Of the Config count Repositories, Keys, Architecture, Source, CacheDir,
// NetworkNamespace, Progress and Logger. Without a CacheDir, the root's own package
// cache is empty afterwards. The machine may be running, but its services are not told;
// while its own pacman is at work, it is [ErrBusy]. It works in namespaces as
// [Bootstrap] does and has its errors, and [ErrIncomplete] where the root is not
// finished. pacman checks everything before it touches the root; when it is interrupted
// after that, the root is half upgraded: take a snapshot first.
func Install(ctx context.Context, root string, c Config, packages ...string) error {
	c.Packages = packages
	return wrap("install", root, operate(ctx, root, c, append([]string{"-Syu", "--needed", "--"}, packages...)))
}

// Upgrade brings all packages of a finished root up to date, see [Install].
func Upgrade(ctx context.Context, root string, c Config) error {
	return wrap("upgrade", root, operate(ctx, root, c, []string{"-Syu"}))
}

// Remove removes packages and those that only they needed, see [Install]. It
// asks no mirror.
func Remove(ctx context.Context, root string, c Config, packages ...string) error {
	c.Packages = packages
	return wrap("remove", root, operate(ctx, root, c, append([]string{"-Rs", "--"}, packages...)))
}

func operate(ctx context.Context, root string, c Config, args []string) error {
	if err := c.Validate(); err != nil {
		return err
	}
	c.Source.Base = "" // it has no pacman for others
	if c.Source.Method == MethodClone {
		c.Source.Method = MethodAuto
	}
	b := &builder{config: c.withDefaults()}
	if err := b.preflight(); err != nil {
		return err
	}
	path, err := resolveRoot(root)
	if err != nil {
		return err
	}
	lock, err := lockRoot(path)
	if err != nil {
		return err
	}
	defer unlock(lock.dir)
	t, err := openFinished(path)
	if err != nil {
		return err
	}
	defer t.Close()
	return b.operateIn(ctx, t, path, args)
}

// operateIn works on a root that nobody else of us works on.
func (b *builder) operateIn(ctx context.Context, t *intree.Tree, path string, args []string) error {
	// A killed process may have left its tools here.
	if err := t.RemoveAll(toolsName); err != nil {
		return err
	}
	if _, err := t.Lstat(databaseLock); err == nil {
		return fmt.Errorf("%w: %s is there: pacman is at work in the machine, or was killed; in the latter case remove the file", ErrBusy, databaseLock)
	}
	if err := b.placeCache(path); err != nil {
		return err
	}
	ran, err := b.transact(ctx, path, args)
	if ran && !errors.Is(err, ErrBusy) { // else lock and cache are those of the machine's pacman
		err = errors.Join(err, b.tidy(ctx, t))
	}
	if err = errors.Join(err, t.RemoveAll(toolsName)); err != nil {
		return err
	}
	return stampUpdated(t)
}

// databaseLock is made by pacman, which leaves it when it is killed.
const databaseLock = "/var/lib/pacman/db.lck"

// transact runs one operation of pacman, and says whether it came to that.
func (b *builder) transact(ctx context.Context, root string, args []string) (ran bool, err error) {
	tools, err := b.equip(ctx, root)
	if err != nil {
		return false, err
	}
	p, err := b.enter(ctx, root, tools)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, p.chamber.close()) }()
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	return true, p.run(ctx, args...)
}

// tidy removes what our pacman has left.
func (b *builder) tidy(ctx context.Context, t *intree.Tree) error {
	var errs []error
	if ctx.Err() != nil { // it was killed
		errs = append(errs, ignoreMissing(t.Remove(databaseLock)))
	}
	if b.config.CacheDir == "" {
		errs = append(errs, emptyCache(t))
	}
	return errors.Join(errs...)
}
