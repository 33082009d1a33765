package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"github.com/prologin/rig/nspawn"
	"github.com/prologin/rig/snapshot"
)

// Item is one thing that labs have on a host.
type Item struct {
	// Kind is "machine", "network", "volume", "pool", "mount", "loop device" or "file".
	Kind, Name string
	// Detail is what there is to know of it.
	Detail string
	// Foreign says that it is where a lab's things are, and none of them.
	Foreign bool

	remove func(context.Context) error
}

// String returns one line for people.
func (i Item) String() string {
	text := fmt.Sprintf("%-11s  %s", i.Kind, i.Name)
	if i.Detail != "" {
		text += " (" + i.Detail + ")"
	}
	return text
}

// Survey lists what labs with these options have on this host, also what dead
// programs left. It changes nothing that lasts. It needs root.
func Survey(ctx context.Context, c Config, o Options) (items []Item, err error) {
	err = withRecords(ctx, c, o, func(l *Lab) error {
		items, err = l.survey(ctx)
		return err
	})
	return items, err
}

// withRecords calls f with a lab that is locked and knows its machines, and is not opened.
func withRecords(ctx context.Context, c Config, o Options, f func(*Lab) error) (err error) {
	o.Keep = true
	l, err := newLab(c, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close(ctx)) }()
	if err := l.try(ctx, l.lock, l.recall); err != nil {
		return err
	}
	return f(l)
}

// try takes steps until one fails, which is a failure of the host.
func (l *Lab) try(ctx context.Context, steps ...func(context.Context) error) error {
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return &HostError{err}
		}
	}
	return nil
}

func (l *Lab) survey(ctx context.Context) (items []Item, err error) {
	var errs []error
	for _, look := range []func(context.Context) ([]Item, error){
		l.surveyMachines, l.surveyNetwork, l.surveyStore, l.surveyMounts, l.surveyLoops, l.surveyFiles,
	} {
		found, err := look(ctx)
		items, errs = append(items, found...), append(errs, err)
	}
	return items, errors.Join(errs...)
}

func (l *Lab) surveyMachines(ctx context.Context) (items []Item, err error) {
	names, err := entries(filepath.Join(l.runDir("nspawn"), "machines"))
	if err != nil || len(names) == 0 {
		return nil, err
	}
	host, err := nspawn.Open(ctx, nspawn.HostOptions{StateDir: l.runDir("nspawn"), Launcher: nspawn.Launcher(l.Launcher), Netns: l.Netns, Logger: l.Logger})
	if err != nil {
		return nil, err
	}
	defer host.Close()
	for _, name := range names {
		m, err := host.Find(ctx, name)
		switch {
		case errors.Is(err, nspawn.ErrNotFound):
			items = append(items, Item{Kind: "machine", Name: name, Detail: "it died; what it left has just been swept", remove: nothing})
		case err != nil:
			return items, err
		case l.below(m.Root()):
			items = append(items, Item{Kind: "machine", Name: name, Detail: "running", remove: m.Kill})
		case l.Config.machine(name) != nil:
			items = append(items, Item{Kind: "machine", Name: name, Detail: "running from " + m.Root(), Foreign: true, remove: m.Stop})
		}
	}
	return items, nil
}

func nothing(context.Context) error { return nil }

// entries lists the names in a directory that may not exist.
func entries(dir string) (names []string, err error) {
	list, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range list {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// below reports whether a path is where the lab keeps its things.
func (l *Lab) below(path string) bool {
	for _, dir := range []string{l.State, l.StoreDir()} {
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			dir = real
		}
		if path != dir && strings.HasPrefix(path, dir+"/") {
			return true
		}
	}
	return false
}

func (l *Lab) surveyNetwork(ctx context.Context) ([]Item, error) {
	if l.net == nil {
		if err := l.openNet(); err != nil {
			return nil, err
		}
	}
	changes, err := l.net.PlanRemove(ctx, l.Bridge())
	if err != nil || len(changes) == 0 {
		return nil, err
	}
	return []Item{{Kind: "network", Name: l.Bridge(), Detail: fmt.Sprintf("%d links, rules and settings", len(changes)), remove: l.cleanNetwork}}, nil
}

func (l *Lab) surveyStore(ctx context.Context) (items []Item, err error) {
	inPool := l.StoreDir() == l.poolDir()
	if inPool {
		if _, err := os.Stat(l.poolFile()); errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if !isBtrfs(l.poolDir()) { // else it is left for machines that were left running
			pool, openErr := snapshot.OpenPool(ctx, l.poolFile(), l.poolDir())
			if openErr != nil {
				return nil, openErr
			}
			defer func() { err = errors.Join(err, unmountBelow(l.poolDir()), pool.Close()) }()
		}
		items = append(items, Item{Kind: "pool", Name: l.poolFile(), Detail: "with all that is in it", remove: l.cleanStore})
	}
	err = l.withStore(ctx, func(store *snapshot.Store) error {
		volumes, err := l.surveyVolumes(ctx, store, inPool)
		items = append(items, volumes...)
		return err
	})
	return items, err
}

// surveyVolumes lists the volumes of a store. In a store that is not the lab's own others may
// have theirs.
func (l *Lab) surveyVolumes(ctx context.Context, store *snapshot.Store, own bool) (items []Item, err error) {
	for v, err := range store.Volumes(ctx) {
		if err != nil {
			return items, err
		}
		item := Item{Kind: "volume", Name: v.Path(), Foreign: !own && !slices.Contains(l.volumes(), v.Name())}
		count := 0
		for range v.Snapshots(ctx) {
			count++
		}
		item.Detail = fmt.Sprintf("%d snapshots", count)
		name := v.Name()
		item.remove = func(ctx context.Context) error {
			return l.withStore(ctx, func(store *snapshot.Store) error { return deleteVolume(ctx, store, name) })
		}
		items = append(items, item)
	}
	return items, nil
}

// surveyMounts finds what is mounted below the lab's directories, but for the pool.
func (l *Lab) surveyMounts(context.Context) (items []Item, err error) {
	mounts, err := mountinfo.GetMounts(nil)
	for _, m := range slices.Backward(mounts) { // the innermost first
		name := m.Mountpoint
		if name == l.poolDir() || !l.below(name) {
			continue
		}
		items = append(items, Item{Kind: "mount", Name: name, remove: func(context.Context) error {
			return unix.Unmount(name, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		}})
	}
	return items, err
}

func (l *Lab) surveyLoops(context.Context) (items []Item, err error) {
	names, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, name := range names {
		file, err := os.ReadFile(name)
		backing := strings.TrimSpace(string(file))
		if err == nil && l.below(backing) {
			items = append(items, Item{Kind: "loop device", Name: strings.Split(name, "/")[3], Detail: "of " + backing, remove: nothing})
		}
	}
	return items, err
}

// surveyFiles lists what is in the state directory, but for the lock that is held.
func (l *Lab) surveyFiles(context.Context) (items []Item, err error) {
	list, err := os.ReadDir(l.State)
	for _, e := range list {
		path := filepath.Join(l.State, e.Name())
		if path == l.lockFile() || path == l.poolFile() || path == l.poolDir() {
			continue
		}
		items = append(items, Item{Kind: "file", Name: path, remove: nothing})
	}
	return items, err
}
