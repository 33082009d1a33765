package archboot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/prologin/rig/internal/intree"
	"golang.org/x/sync/errgroup"
)

// Bootstrap makes a bootable Arch Linux root in the directory root, which must
// exist and be empty, from packages that pacman fetches, see [Source].
//
// It needs root privileges and a few programs, see the package documentation,
// and blocks until the root is finished. Two processes may work on different
// roots at once, sharing a CacheDir or not.
//
// When it fails, or when the context ends, the directory is empty again: nothing
// mounted, nothing running. When the process is killed, the directory is left
// marked as incomplete; nothing is mounted or running either, and the next
// Bootstrap on it begins by emptying it. Nothing is synced to the disk; [Cache]
// does that.
//
// All errors are *[Error]. errors.Is tells [ErrInvalid] (before anything was
// touched), [ErrBadRoot], [ErrNotEmpty], [ErrBusy], [fs.ErrNotExist] (no such
// directory), [fs.ErrPermission] (not root), [ErrMissingProgram], [ErrMirror],
// [ErrCorrupt], [ErrSignature], [ErrHostile] (a tarball), [ErrUnknownPackage],
// [ErrConflict], [ErrNoSpace] and [ErrNotFound] (a locale, time zone, keymap or unit)
// apart. When the context ends, its cause is the error's.
func Bootstrap(ctx context.Context, root string, c Config) error {
	return wrap("bootstrap", root, bootstrap(ctx, root, c))
}

func bootstrap(ctx context.Context, root string, c Config) error {
	if err := c.Validate(); err != nil {
		return err
	}
	b := &builder{config: c.withDefaults()}
	if err := b.preflight(); err != nil {
		return err
	}
	hash, err := c.passwordHash(b.emit)
	if err != nil {
		return err
	}
	claimed, err := claimRoot(root)
	if err != nil {
		return err
	}
	if b.method == MethodClone {
		return b.clone(ctx, claimed, hash)
	}
	if err = b.placeCache(claimed.path); err == nil {
		err = b.build(ctx, claimed.path, hash)
	}
	if err == nil {
		return claimed.finish()
	}
	if undo := claimed.abandon(); undo != nil {
		err = errors.Join(err, fmt.Errorf("empty the root again: %w", undo))
	}
	return err
}

// A builder holds what the steps of one bootstrap share.
type builder struct {
	config  Config // with defaults
	method  Method
	telling sync.Mutex // held while Progress is called
}

// preflight looks at the host, without touching anything.
func (b *builder) preflight() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: run it as root", fs.ErrPermission)
	}
	if err := b.config.checkNetns(); err != nil {
		return err
	}
	method, why, err := b.config.probe()
	b.method = method
	if method == MethodClone {
		b.step("use " + why)
		return nil
	}
	need := []string{"sh", "mount", "cat"}
	if b.verifies() && b.method == MethodPacman {
		need = append(need, "gpg")
	}
	if err := errors.Join(err, needPrograms(need...)); err != nil {
		return err
	}
	b.step("use " + why)
	if b.config.Repositories == nil {
		list, err := hostRepositories()
		if err != nil {
			return err
		}
		b.config.Repositories = list
		if b.config.MachineRepositories == nil {
			b.config.MachineRepositories = list
		}
	}
	if b.verifies() && len(b.config.Keys) == 0 && (b.method == MethodTarball || !haveHostKeyring()) {
		return fmt.Errorf("%w: there are no Keys, and no pacman keyring in %s to use: give the keys to trust", ErrInvalid, hostKeyring)
	}
	return nil
}

// verifies says whether any repository wants signatures.
func (b *builder) verifies() bool {
	for _, r := range b.config.Repositories {
		if r.SigLevel != "Never" {
			return true
		}
	}
	return b.config.Repositories == nil
}

// hostRepositories are those of an Arch host.
func hostRepositories() ([]Repository, error) {
	data, err := os.ReadFile(mirrorList)
	if err != nil {
		return nil, fmt.Errorf("%w: Repositories is nil and this host has no mirror list: %w", ErrInvalid, err)
	}
	var servers []string
	for line := range strings.Lines(string(data)) {
		key, value, _ := strings.Cut(line, "=")
		if strings.TrimSpace(key) == "Server" {
			servers = append(servers, strings.TrimSpace(value))
		}
	}
	if len(servers) == 0 {
		return nil, fmt.Errorf("%w: Repositories is nil and %s has no active server", ErrInvalid, mirrorList)
	}
	return []Repository{{Name: "core", Servers: servers}, {Name: "extra", Servers: servers}}, nil
}

func (b *builder) emit(e Event) {
	b.telling.Lock()
	defer b.telling.Unlock()
	switch e.Kind {
	case EventWarning:
		b.config.logger().Warn(e.Text)
	default:
		b.config.logger().Debug(e.String())
	}
	if b.config.Progress != nil {
		b.config.Progress(e)
	}
}

func (b *builder) step(text string) { b.emit(Event{Kind: EventStep, Text: text}) }

// build fills the empty root.
func (b *builder) build(ctx context.Context, root, hash string) error {
	t, err := openTree(root)
	if err != nil {
		return err
	}
	defer t.Close()
	if err := makeLayout(t); err != nil {
		return err
	}
	tools, err := b.equip(ctx, root)
	if err != nil {
		return err
	}
	if err := b.populate(ctx, root, tools, t); err != nil {
		return err
	}
	if err := t.RemoveAll(toolsName); err != nil {
		return err
	}
	b.step("write settings")
	return b.settle(ctx, t, hash)
}

// placeCache makes the package cache, which outlives the root and so is not in it.
func (b *builder) placeCache(root string) error {
	if b.config.CacheDir == "" {
		return nil
	}
	dir, err := filepath.Abs(b.config.CacheDir)
	if err == nil && !strings.HasPrefix(dir+"/", root+"/") {
		if err = os.MkdirAll(dir, 0o755); err == nil {
			dir, err = filepath.EvalSymlinks(dir)
		}
	}
	if err != nil {
		return fmt.Errorf("package cache: %w", err)
	}
	if strings.HasPrefix(dir+"/", root+"/") {
		return fmt.Errorf("%w: CacheDir %s is in the root: it would go with it", ErrInvalid, dir)
	}
	b.config.CacheDir = dir
	return nil
}

// equip gets the tools where the host has no pacman.
func (b *builder) equip(ctx context.Context, root string) (tools string, err error) {
	if b.method == MethodTarball {
		return b.unpackTools(ctx, root)
	}
	return "", nil
}

// populate does all that needs programs to run in the root.
func (b *builder) populate(ctx context.Context, root, tools string, t *intree.Tree) (err error) {
	p, err := b.enter(ctx, root, tools)
	if err != nil {
		return err
	}
	ch := p.chamber
	defer func() { err = errors.Join(err, ch.close()) }()
	b.step("install packages")
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var meanwhile errgroup.Group
	meanwhile.Go(func() error {
		generate := func() error { return setLocale(ctx, ch, t, b.config.Locale) }
		return wrap("generate locale", root, p.arrivals.when(ctx, generate, "glibc", "gzip"))
	})
	meanwhile.Go(func() error {
		makeKeys := func() error { return p.initKeys(ctx, t) }
		return wrap("make the machine's pacman keyring", root, p.arrivals.when(ctx, makeKeys, "archlinux-keyring"))
	})
	err = wrap("install packages", root, p.install(ctx, b.config.Packages))
	if err != nil {
		cancel()
	}
	p.arrivals.end()
	// Where a package is half there, the others fail too, for want of its files.
	return cmp.Or(err, meanwhile.Wait())
}

// enter makes a chamber for the root and a pacman that is ready to run in it.
func (b *builder) enter(ctx context.Context, root, tools string) (*pacman, error) {
	ch, err := enter(chamberConfig{root, b.config.Hostname, b.config.CacheDir, b.config.NetworkNamespace},
		func(s string) { b.config.logger().Debug(s, "root", root) })
	if err != nil {
		return nil, err
	}
	p := &pacman{chamber: ch, config: b.config, emit: b.emit, tools: tools, arrivals: newArrivals()}
	if tools != "" {
		err = ch.bindTools(tools, b.config.CacheDir)
	}
	if err == nil {
		p.sandbox = p.probeSandbox(ctx)
		b.step(p.sandbox.why)
		err = p.prepare()
	}
	if err != nil {
		return nil, errors.Join(err, ch.close())
	}
	return p, nil
}

// settle writes what needs no program.
func (b *builder) settle(ctx context.Context, t *intree.Tree, hash string) error {
	c := b.config
	steps := []func() error{
		func() error { return writeSettings(t, c) },
		func() error { return writeMachineRepositories(t, c.MachineRepositories) },
		func() error {
			if hash == "" {
				return nil
			}
			return setPassword(t, hash)
		},
		func() error { return enableUnits(t, c.Services) },
		func() error { return writeFiles(t, c.Files) },
		func() error { return emptyCache(t) },
		func() error { return stampUpdated(t) },
	}
	for _, step := range steps {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// rootCache is the root's own package cache.
const rootCache = "/var/cache/pacman/pkg"

// emptyCache drops the packages that pacman fetched into the root.
func emptyCache(t *intree.Tree) error {
	return errors.Join(t.RemoveAll(rootCache), t.MkdirAll(rootCache, 0o755))
}
